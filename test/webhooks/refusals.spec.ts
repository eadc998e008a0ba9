import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { TestApplication } from '../support/application.js';
import { errorBody, nextAddress, postCallback } from './post-callback.js';

const LIMIT = 10;

describe('an address that repeatedly sends requests without a valid signature', () => {
  let application: TestApplication;
  let from: string;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(async () => {
    await application.close();
  });

  beforeEach(() => {
    from = nextAddress();
  });

  async function refused(count: number) {
    const answers = [];
    for (let sent = 0; sent < count; sent += 1) {
      answers.push(await postCallback(application, { signature: 'forged', from }));
    }
    return answers;
  }

  function linesAboutAddress() {
    return application.logs.lines.filter(({ fields }) => JSON.stringify(fields).includes(`"${from}"`));
  }

  it('is answered 403 at first, then 429 with the seconds to wait', async () => {
    const answers = await refused(LIMIT + 3);
    expect(answers.map(({ status }) => status)).toEqual([
      ...Array<number>(LIMIT).fill(403),
      ...Array<number>(3).fill(429),
    ]);
    for (const answer of answers.slice(LIMIT)) {
      expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1);
      expect(Number(answer.headers['retry-after'])).toBeLessThanOrEqual(60);
      expect(errorBody(answer).statusCode).toBe(429);
    }
    expect(answers[0]?.headers['retry-after']).toBeUndefined();
  });

  it('has a log line for each 403 and one more for all the 429', async () => {
    await refused(LIMIT + 5);
    const before = application.logs.messages();
    expect(linesAboutAddress().map(({ level }) => level)).toEqual(Array(LIMIT + 1).fill('warn'));
    await refused(5);
    expect(application.logs.messages()).toEqual(before);
  });

  it('still gets 204 for what Twilio signs, so Twilio itself is never throttled, and 429 for forgeries', async () => {
    await refused(LIMIT + 1);
    const signed = await Promise.all(Array.from({ length: 30 }, () => postCallback(application, { from })));
    expect(signed.map(({ status }) => status)).toEqual(Array(30).fill(204));
    expect((await refused(1))[0]?.status).toBe(429);
  });

  it('does not limit another address', async () => {
    await refused(LIMIT + 1);
    expect((await postCallback(application, { signature: 'forged' })).status).toBe(403);
  });

  it('is not counted for signed requests, however many', async () => {
    await Promise.all(Array.from({ length: 3 * LIMIT }, () => postCallback(application, { from })));
    expect((await refused(1))[0]?.status).toBe(403);
  });

  it('has the reason of a refusal in the log, and neither the signature nor the query', async () => {
    const target = '/api/webhooks/twilio/message-status?secret=hidden';
    await postCallback(application, { signature: 'forged', from, target });
    expect(linesAboutAddress()).toMatchObject([
      {
        message: '⛔ [WEBHOOK] Request refused',
        fields: [
          {
            reason: 'its signature does not match: compare the URL and the auth token',
            checkedUrl: 'https://hooks.example.com/api/webhooks/twilio/message-status',
          },
        ],
      },
    ]);
    expect(JSON.stringify(application.logs.lines)).not.toMatch(/forged|hidden/);
  });
});
