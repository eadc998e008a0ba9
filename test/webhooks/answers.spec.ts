import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { getExpectedTwilioSignature } from 'twilio/lib/webhooks/webhooks.js';
import { demoAccount } from '../../simulator/demo-account.js';
import { formatForm, type FormParameters } from '../../simulator/form-parameters.js';
import { TestApplication, WEBHOOK_PATH, WEBHOOK_URL } from '../support/application.js';
import { type CallbackPost, errorBody, postCallback, statusParameters } from './post-callback.js';

const OTHER_TOKEN = '0123456789abcdef0123456789abcdef';

describe('the answers of the webhook', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(async () => {
    await application.close();
  });

  function eventsOf(messageSid: unknown) {
    return application.query<{ id: string }>('select id from message_events where message_sid = $1', [
      messageSid,
    ]);
  }

  it('are 204 with no body for a signed callback, which is a row by then', async () => {
    const parameters = statusParameters();
    const answer = await postCallback(application, { parameters });
    expect(answer).toMatchObject({ status: 204, text: '' });
    expect(await eventsOf(parameters.MessageSid)).toHaveLength(1);
  });

  it('let a proxy keep the connection for ten minutes, as Google’s does', async () => {
    const { headers } = await fetch(`${application.origin}/health/live`);
    expect(headers.get('connection')).toBe('keep-alive');
    expect(headers.get('keep-alive')).toBe('timeout=620');
  });

  it('are the same for a repeated callback, whose log line names the row of the first', async () => {
    const parameters = statusParameters();
    await postCallback(application, { parameters });
    const before = application.logs.lines.length;
    const answer = await postCallback(application, { parameters });
    expect(answer).toMatchObject({ status: 204, text: '' });
    const [event, ...others] = await eventsOf(parameters.MessageSid);
    expect(others).toEqual([]);
    const lines = application.logs.lines.slice(before).filter(({ message }) => message.includes('[WEBHOOK]'));
    expect(lines.at(-1)).toMatchObject({
      message: `✅ [WEBHOOK] Message event logged: ${event?.id}`,
      fields: [{ messageSid: parameters.MessageSid, repeated: true }],
    });
  });

  it.each([
    ['has no signature', { signature: null }],
    ['has an empty signature', { signature: '' }],
    ['has a signature that is none', { signature: 'bm90IGEgc2lnbmF0dXJl' }],
    ['has two signatures', { headers: { 'X-Twilio-Signature': ['a', 'b'] } }],
    ['is signed with another token', { token: OTHER_TOKEN }],
    ['is signed for another URL', { signedUrl: `https://hooks.example.org${WEBHOOK_PATH}` }],
    ['is signed for http', { signedUrl: `http://hooks.example.com${WEBHOOK_PATH}` }],
    ['names no account', { parameters: { MessageSid: 'SM1', MessageStatus: 'sent' } }],
    ['names an unknown account', { parameters: statusParameters({ AccountSid: 'AC0' }) }],
    [
      'names an inherited property as its account',
      { parameters: statusParameters({ AccountSid: '__proto__' }) },
    ],
    ['names two accounts', { parameters: statusParameters({ AccountSid: [demoAccount.sid, 'AC0'] }) }],
    [
      'names one account twice',
      { parameters: statusParameters({ AccountSid: [demoAccount.sid, demoAccount.sid] }) },
    ],
    ['is empty', { body: '' }],
  ])('are 403 if the request %s', async (_, refused: CallbackPost) => {
    const post = { parameters: statusParameters(), ...refused };
    const answer = await postCallback(application, post);
    expect(answer.status).toBe(403);
    expect(errorBody(answer).message).toBe('The request is not signed by a configured Twilio account');
    expect(await eventsOf(post.parameters.MessageSid)).toEqual([]);
  });

  it.each([`${WEBHOOK_PATH}/`, WEBHOOK_PATH.toUpperCase()])(
    'are 204 at %s too, which is the same route for Express',
    async (target) => {
      expect((await postCallback(application, { target })).status).toBe(204);
    },
  );

  describe('by the size of the body', () => {
    const limit = 64 * 1024;

    function parametersOfSize(bytes: number): FormParameters {
      const parameters = statusParameters({ Body: '' });
      const missing = bytes - formatForm(parameters).length;
      return { ...parameters, Body: 'x'.repeat(missing) };
    }

    it('are 204 for 64 KiB', async () => {
      const parameters = parametersOfSize(limit);
      expect((await postCallback(application, { parameters })).status).toBe(204);
      expect(await eventsOf(parameters.MessageSid)).toHaveLength(1);
    });

    it('are 413 for a byte more, signed or not', async () => {
      const parameters = parametersOfSize(limit + 1);
      const answer = await postCallback(application, { parameters });
      expect(answer.status).toBe(413);
      errorBody(answer);
      expect((await postCallback(application, { parameters, signature: null })).status).toBe(413);
      expect(await eventsOf(parameters.MessageSid)).toEqual([]);
    });

    it('are the same for chunks of unannounced length', async () => {
      const parameters = parametersOfSize(limit);
      expect((await postInChunks(parameters)).status).toBe(204);
      expect(await eventsOf(parameters.MessageSid)).toHaveLength(1);
      expect((await postInChunks(parametersOfSize(limit + 1))).status).toBe(413);
    });
  });

  function postInChunks(parameters: FormParameters): Promise<Response> {
    return fetch(application.origin + WEBHOOK_PATH, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/x-www-form-urlencoded',
        'X-Twilio-Signature': getExpectedTwilioSignature(demoAccount.authToken, WEBHOOK_URL, parameters),
      },
      body: new Blob([formatForm(parameters)]).stream(),
      duplex: 'half',
    });
  }

  it.each(['text/plain', 'multipart/form-data; boundary=x', 'application/jsonp', '', null])(
    'are 415 for a body of type %j, even a signed one',
    async (contentType) => {
      const answer = await postCallback(application, { contentType });
      expect(answer.status).toBe(415);
      errorBody(answer);
    },
  );

  it.each(['gzip', 'deflate', 'br', 'nonsense'])('are 415 for a body in %s', async (encoding) => {
    const answer = await postCallback(application, { headers: { 'Content-Encoding': encoding } });
    expect(answer.status).toBe(415);
    errorBody(answer);
  });

  it('are 204 for a body with the encoding identity', async () => {
    const headers = { 'Content-Encoding': 'identity' };
    expect((await postCallback(application, { headers })).status).toBe(204);
  });

  it('are not a service error if the request is at fault', async () => {
    const before = application.logs.lines.length;
    await postInChunks(statusParameters({ Body: 'x'.repeat(70_000) }));
    await postCallback(application, { body: 'x'.repeat(70_000) });
    await postCallback(application, { headers: { 'Content-Encoding': 'gzip' } });
    await postCallback(application, { contentType: 'text/plain' });
    expect(application.logs.lines.slice(before).filter(({ level }) => level === 'error')).toEqual([]);
  });
});
