import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { demoAccount } from '../../simulator/demo-account.js';
import type { FormParameters } from '../../simulator/form-parameters.js';
import { TestApplication } from '../support/application.js';
import { jsonCallback, jsonTextCallback } from './json-callback.js';
import { errorBody, postCallback, statusParameters } from './post-callback.js';

interface Row {
  id: string;
  reason: string;
  payload: Record<string, unknown>;
}

function without(name: string): FormParameters {
  return Object.fromEntries(Object.entries(statusParameters()).filter(([other]) => other !== name));
}

describe('a signed callback that cannot be an event', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(async () => {
    await application.close();
  });

  async function newestRejected(): Promise<Row> {
    const [row] = await application.query<Row>(
      'select id, reason, payload from rejected_callbacks order by id desc limit 1',
    );
    if (row === undefined) throw new Error('There is no rejected callback');
    return row;
  }

  it.each([
    ['MessageSid is missing', without('MessageSid'), ['MessageSid must be given once']],
    ['MessageStatus is missing', without('MessageStatus'), ['MessageStatus must be given once']],
    ['MessageSid is empty', statusParameters({ MessageSid: '' }), ['MessageSid must not be empty']],
    [
      'MessageStatus is blank',
      statusParameters({ MessageStatus: ' \t' }),
      ['MessageStatus must not be empty'],
    ],
    [
      'MessageSid is repeated',
      statusParameters({ MessageSid: ['SM1', 'SM2'] }),
      ['MessageSid must be given once'],
    ],
    [
      'MessageStatus is repeated',
      statusParameters({ MessageStatus: ['sent', 'sent'] }),
      ['MessageStatus must be given once'],
    ],
    [
      'MessageSid has 65 characters',
      statusParameters({ MessageSid: 'S'.repeat(65) }),
      ['MessageSid must have 64 characters at most'],
    ],
    [
      'MessageStatus has 65 characters',
      statusParameters({ MessageStatus: 's'.repeat(65) }),
      ['MessageStatus must have 64 characters at most'],
    ],
    [
      'both are missing',
      { AccountSid: demoAccount.sid },
      ['MessageSid must be given once', 'MessageStatus must be given once'],
    ],
  ])('is answered 400 and stored with the reason if %s', async (_, parameters, reasons) => {
    const answer = await postCallback(application, { parameters });
    expect(answer.status).toBe(400);
    expect(errorBody(answer)).toEqual({ statusCode: 400, error: 'Bad Request', message: reasons });
    expect(await newestRejected()).toMatchObject({ reason: reasons.join('; '), payload: parameters });
  });

  it('is no event', async () => {
    const parameters = statusParameters({ MessageStatus: '' });
    await postCallback(application, { parameters });
    const events = await application.query('select from message_events where message_sid = $1', [
      parameters.MessageSid,
    ]);
    expect(events).toEqual([]);
  });

  it('is an event again with a MessageSid and a MessageStatus of 64 characters', async () => {
    const parameters = statusParameters({ MessageSid: 'Ü'.repeat(64), MessageStatus: '語'.repeat(64) });
    expect((await postCallback(application, { parameters })).status).toBe(204);
  });

  it('is answered 400 if a JSON body has a MessageSid that is not text', async () => {
    const json = { AccountSid: demoAccount.sid, MessageSid: 7, MessageStatus: { sent: true } };
    const answer = await postCallback(application, jsonCallback(json));
    expect(answer.status).toBe(400);
    expect((await newestRejected()).payload).toEqual(json);
  });

  it('is answered 400 and stored as text if a JSON body is nested very deep', async () => {
    const depth = 10_000;
    const body = `{"AccountSid":"${demoAccount.sid}","a":${'['.repeat(depth)}${']'.repeat(depth)}}`;
    const answer = await postCallback(application, jsonTextCallback(body));
    expect(answer.status).toBe(400);
    expect((await newestRejected()).payload).toEqual({ body });
  });

  it('leaves a line in the log with its row and the reason, and none of its values', async () => {
    const parameters = statusParameters({ MessageStatus: '', Body: 'a private text' });
    await postCallback(application, { parameters });
    const { id, reason } = await newestRejected();
    const line = application.logs.lines.findLast(({ level }) => level === 'warn');
    expect(line).toMatchObject({ fields: [{ id, reason }] });
    expect(JSON.stringify(application.logs.lines)).not.toContain('a private text');
  });

  it('pushes out the oldest when more than 10,000 are kept', async () => {
    const { id } = await newestRejected();
    const [oldest, kept, newest] = [1, 2, 10_000].map((offset) => String(Number(id) + 100_000 + offset));
    await application.query(
      `insert into rejected_callbacks (id, reason, payload) overriding system value
       select id, 'kept earlier', '{}' from unnest($1::bigint[]) as id`,
      [[oldest, kept, newest]],
    );
    await application.query(`select setval(pg_get_serial_sequence('rejected_callbacks', 'id'), $1)`, [
      newest,
    ]);
    await postCallback(application, { parameters: without('MessageSid') });
    const rows = await application.query<Row>('select id from rejected_callbacks order by id');
    expect(rows.map((row) => row.id)).toEqual([kept, newest, String(Number(newest) + 1)]);
  });
});
