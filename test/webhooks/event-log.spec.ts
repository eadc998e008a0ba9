import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { smsStatusParameters, whatsappStatusParameters } from '../../simulator/callback-parameters.js';
import { demoAccount } from '../../simulator/demo-account.js';
import type { FormParameters } from '../../simulator/form-parameters.js';
import { STATUSES_BY_RANK } from '../../src/messages/message-status.js';
import { TestApplication, WEBHOOK_PATH } from '../support/application.js';
import { randomMessageSid } from '../support/seed.js';
import { jsonCallback } from './json-callback.js';
import { postCallback, statusParameters } from './post-callback.js';

describe('the event log', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(async () => {
    await application.close();
  });

  async function stored(parameters: FormParameters, target = WEBHOOK_PATH): Promise<Record<string, unknown>> {
    const answer = await postCallback(application, { parameters, target });
    expect(answer.status).toBe(204);
    const rows = await application.query('select * from message_events where message_sid = $1', [
      parameters.MessageSid,
    ]);
    expect(rows).toHaveLength(1);
    return rows[0] ?? {};
  }

  const callback = { messageSid: '', to: '+15557654321', from: '+15550001111' };

  it.each([...STATUSES_BY_RANK, 'a_status_of_tomorrow', 'Ünïcödé'])('keeps the status %s', async (status) => {
    const parameters = statusParameters({ MessageStatus: status });
    expect(await stored(parameters)).toMatchObject({ message_status: status, payload: parameters });
  });

  it('stores the fields of a WhatsApp callback in columns, and every parameter in the payload', async () => {
    const parameters = whatsappStatusParameters({
      ...callback,
      messageSid: randomMessageSid(),
      status: 'undelivered',
      errorCode: 63016,
      errorMessage: 'Outside the allowed window',
      extra: { ChannelInstallSid: 'XE1', EventType: 'SENT', ExternalUserId: 'US.1', Tomorrow: 'new' },
    });
    const row = await stored(parameters);
    expect(row).toMatchObject({
      message_sid: parameters.MessageSid,
      message_status: 'undelivered',
      channel: 'whatsapp',
      to_number: '+15557654321',
      from_number: '+15550001111',
      error_code: '63016',
      error_message: 'Outside the allowed window',
      account_sid: demoAccount.sid,
      fallback_sms_message_id: null,
      sms_fallback_id: null,
      source: 'callback',
    });
    expect(row.payload).toEqual(parameters);
    expect(Math.abs(Date.now() - (row.created_at as Date).getTime())).toBeLessThan(60_000);
  });

  it('stores the fields of an SMS callback', async () => {
    const messageSid = randomMessageSid();
    const parameters = smsStatusParameters({
      ...callback,
      messageSid,
      status: 'delivered',
      messagingServiceSid: 'MG1',
    });
    expect(parameters).toHaveProperty('RawDlrDoneDate');
    expect(await stored(parameters)).toMatchObject({
      channel: 'sms',
      to_number: '+15557654321',
      error_code: null,
      error_message: null,
      payload: parameters,
    });
  });

  it.each([
    ['whatsapp', 'whatsapp:+1555', '+1555'],
    ['rcs', 'rcs:+1555', '+1555'],
    ['messenger', 'messenger:4567', '4567'],
    ['whatsapp', 'WhatsApp:+1555', '+1555'],
    ['carrier-pigeon_2', 'carrier-pigeon_2:coop:7', 'coop:7'],
    ['sms', '+1555', '+1555'],
    ['sms', '12345', '12345'],
  ])('has the channel %s and the bare address for %s', async (channel, to, number) => {
    const parameters = statusParameters({ To: to });
    expect(await stored(parameters)).toMatchObject({ channel, to_number: number });
  });

  it.each([
    ['whatsapp', { From: 'whatsapp:+1555' }],
    ['rcs', { From: '+1555', ChannelPrefix: 'RCS' }],
    ['sms', { From: '+1555' }],
    ['sms', {}],
  ])('has the channel %s if To is missing and the rest is %j', async (channel, rest: FormParameters) => {
    const { AccountSid, MessageSid, MessageStatus } = statusParameters();
    const parameters = { AccountSid, MessageSid, MessageStatus, ...rest } as FormParameters;
    const row = await stored(parameters);
    expect(row).toMatchObject({ channel, to_number: null, from_number: rest.From ? '+1555' : null });
    expect(row.payload).toEqual(parameters);
  });

  it.each(['failed', 'delivered'])('uses MessageStatus=%s even if EventType says READ', async (status) => {
    const parameters = statusParameters({ MessageStatus: status, SmsStatus: 'read', EventType: 'READ' });
    expect(await stored(parameters)).toMatchObject({ message_status: status });
  });

  it('stores two statuses of one message as two events, and one status of two messages too', async () => {
    const sids = [randomMessageSid(), randomMessageSid()];
    for (const MessageSid of sids) {
      for (const MessageStatus of ['failed', 'undelivered']) {
        await postCallback(application, { parameters: statusParameters({ MessageSid, MessageStatus }) });
      }
    }
    const rows = await application.query('select from message_events where message_sid = any ($1)', [sids]);
    expect(rows).toHaveLength(4);
  });

  it('stores the first of two callbacks that differ in other parameters only', async () => {
    const first = statusParameters({ Attempt: '1' });
    await postCallback(application, { parameters: { ...first } });
    expect(await stored({ ...first, Attempt: '2' })).toMatchObject({ payload: { Attempt: '1' } });
  });

  it('accepts the error code of a JSON callback as a number too', async () => {
    const parameters = statusParameters();
    await postCallback(application, jsonCallback({ ...parameters, ErrorCode: 30003 }));
    expect(await stored(parameters)).toMatchObject({ error_code: '30003', payload: { ErrorCode: 30003 } });
  });

  it.each([
    ['the id of the fallback whose SMS it is about', '', '0199a0d0-0000-7000-8000-000000000001'],
    ['it from among other parameters', 'next=/a?b&', '0199a0d0-0000-7000-8000-000000000001'],
    ['nothing that is no id', '', "7'; drop table message_events"],
  ])('takes %s from the query of the URL', async (_, before, id) => {
    const target = `${WEBHOOK_PATH}?${before}sms_fallback_id=${encodeURIComponent(id)}`;
    expect(await stored(statusParameters(), target)).toMatchObject({
      sms_fallback_id: id.startsWith('0199') ? id : null,
    });
  });
});
