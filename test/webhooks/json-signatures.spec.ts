import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { PUBLIC_BASE_URL, TestApplication, WEBHOOK_PATH, WEBHOOK_URL } from '../support/application.js';
import { jsonCallback, jsonTextCallback } from './json-callback.js';
import { postCallback, statusParameters } from './post-callback.js';

describe('the signature of a JSON callback', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(async () => {
    await application.close();
  });

  async function payloadOf(messageSid: unknown) {
    const [row] = await application.query<{ payload: unknown }>(
      'select payload from message_events where message_sid = $1',
      [messageSid],
    );
    return row?.payload;
  }

  it('covers the body by its hash in the URL', async () => {
    const parameters = statusParameters();
    const json = { ...parameters, Nested: { list: [1, 'two', null, true], empty: {} }, Größe: 1.5 };
    expect((await postCallback(application, jsonCallback(json))).status).toBe(204);
    expect(await payloadOf(parameters.MessageSid)).toEqual(json);
  });

  it("holds for the simulator's callbacks, with other parameters in the query", async () => {
    const parameters = statusParameters();
    const url = `${WEBHOOK_URL}?tenant=7`;
    expect((await application.twilio.sendCallback({ url, parameters, format: 'json' })).status).toBe(204);
    expect(await payloadOf(parameters.MessageSid)).toEqual(parameters);
  });

  it('holds with any spelling of the content type', async () => {
    const callback = jsonCallback(statusParameters(), { contentType: 'Application/JSON ; charset=UTF-8' });
    expect((await postCallback(application, callback)).status).toBe(204);
  });

  it('holds with white space in the body', async () => {
    const body = `\n ${JSON.stringify(statusParameters(), null, 2)}\r\n`;
    expect((await postCallback(application, jsonTextCallback(body))).status).toBe(204);
  });

  it('fails if the body differs', async () => {
    const { body } = jsonCallback(statusParameters());
    const callback = jsonCallback(statusParameters(), { body });
    expect((await postCallback(application, callback)).status).toBe(403);
  });

  it.each(['', '?bodySHA256=', '?bodySHA256=0', '?other=1'])(
    'fails if the URL has no hash of the body: %j',
    async (query) => {
      const target = WEBHOOK_PATH + query;
      const callback = jsonCallback(statusParameters(), { target, signedUrl: PUBLIC_BASE_URL + target });
      expect((await postCallback(application, callback)).status).toBe(403);
    },
  );

  it('fails if the hash was added to a URL that was signed without it', async () => {
    const callback = jsonCallback(statusParameters(), { signedUrl: WEBHOOK_URL });
    expect((await postCallback(application, callback)).status).toBe(403);
  });

  it.each(['', '[]', 'null', '"text"', '{"MessageSid":', '7'])(
    'is 403 for a body that names no account: %j',
    async (body) => {
      expect((await postCallback(application, jsonTextCallback(body))).status).toBe(403);
    },
  );

  it('does not hold for a form whose URL was signed as a JSON callback', async () => {
    const parameters = statusParameters();
    const body = new URLSearchParams(parameters as Record<string, string>).toString();
    const callback = jsonTextCallback(body, { contentType: 'application/x-www-form-urlencoded' });
    expect((await postCallback(application, callback)).status).toBe(403);
  });
});
