import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { TestApplication } from '../support/application.js';
import { createTestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';
import { DatabaseLine } from '../support/database-line.js';
import { errorBody, postCallback, statusParameters } from './post-callback.js';

describe('the webhook, while the database is unreachable,', () => {
  let line: DatabaseLine;
  let application: TestApplication;

  beforeAll(async () => {
    line = await DatabaseLine.open(await createTestDatabase());
    application = await TestApplication.start({ database: line });
  });

  afterAll(async () => {
    line.mend();
    await application.close();
    await line.close();
  });

  beforeEach(() => {
    line.mend();
  });

  async function untilStored(parameters = statusParameters()) {
    await until('a callback to be stored', async () => {
      const { status } = await postCallback(application, { parameters });
      return status === 204;
    });
    return application.query<{ id: string }>('select id from message_events where message_sid = $1', [
      parameters.MessageSid,
    ]);
  }

  it('answers 503 with Retry-After, not 2xx, and stores the same callback once the database is back', async () => {
    await untilStored();
    line.cut();
    const parameters = statusParameters();
    const answer = await postCallback(application, { parameters });
    expect(answer.status).toBe(503);
    expect(answer.headers['retry-after']).toBe('5');
    expect(errorBody(answer)).toEqual({
      statusCode: 503,
      error: 'Service Unavailable',
      message: 'The callback could not be stored. Please send it again.',
    });
    line.mend();
    expect(await untilStored(parameters)).toHaveLength(1);
  });

  it('answers 503 to a callback that it would have rejected, too', async () => {
    await untilStored();
    line.cut();
    const answer = await postCallback(application, { parameters: statusParameters({ MessageStatus: '' }) });
    expect(answer.status).toBe(503);
    expect(answer.headers['retry-after']).toBe('5');
  });

  it('answers none of a hundred callbacks with 2xx, and logs at most one line a second', async () => {
    await untilStored();
    line.cut();
    const before = application.logs.lines.length;
    const began = Date.now();
    const answers = await Promise.all(Array.from({ length: 100 }, () => postCallback(application)));
    expect(answers.map(({ status }) => status)).toEqual(Array(100).fill(503));
    const complaints = application.logs.lines
      .slice(before)
      .filter(({ message }) => message.includes('answered 503'));
    expect(complaints.length).toBeLessThanOrEqual(1 + Math.ceil((Date.now() - began) / 1000));
  });

  it('still refuses unsigned requests', async () => {
    line.cut();
    expect((await postCallback(application, { signature: null })).status).toBe(403);
  });

  it('answers 503 well before Twilio gives up if the commit is not confirmed', async () => {
    await untilStored();
    line.hold();
    const parameters = statusParameters();
    const began = Date.now();
    expect((await postCallback(application, { parameters })).status).toBe(503);
    expect(Date.now() - began).toBeLessThan(12_000);
    line.mend();
    expect(await untilStored(parameters)).toHaveLength(1);
  });
});
