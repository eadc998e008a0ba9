import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { statusParametersOf } from '../../simulator/callback-parameters.js';
import { demoAccount } from '../../simulator/demo-account.js';
import { MessageEvent } from '../../src/message-events/message-event.entity.js';
import { MessageEventsService } from '../../src/message-events/message-events.service.js';
import { TestApplication, WEBHOOK_URL } from '../support/application.js';
import { findFallback, policyFailure, recipientOf, smsFor, untilAllIsDone } from '../support/fallbacks.js';
import { follow } from '../support/following.js';
import { untilQueueIsEmpty } from '../support/job-queue.js';
import { randomMessageSid, seedMessage } from '../support/seed.js';
import { asked, pass, POLICY_FAILURE, runOnce, sendWhatsapp, sourcesOf, waiting } from './polling.js';

const SUBACCOUNT = { sid: 'AC00000000000000000000000000000002', token: 'token-of-the-subaccount' };

/** The real application on a real database. Only Twilio is fake. */
describe('a callback that never came', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({
      env: { TWILIO_SUBACCOUNTS: `${SUBACCOUNT.sid}:${SUBACCOUNT.token}` },
      simulator: {
        accounts: { [demoAccount.sid]: demoAccount.authToken, [SUBACCOUNT.sid]: SUBACCOUNT.token },
      },
    });
  });

  afterAll(() => application.close());

  async function seedAndSend(...steps: Parameters<typeof sendWhatsapp>[1]): Promise<string> {
    const { twilioSid } = await seedMessage(application.dataSource);
    await sendWhatsapp(application, steps, twilioSid);
    return twilioSid;
  }

  it.each(['undelivered', 'failed'])(
    'of the status %s with 63049 still leads to one SMS, although Twilio does not send it again',
    async (status) => {
      const sid = await seedAndSend({ status: 'sent' }, { ...POLICY_FAILURE, status, dropped: true });
      await pass(application, 10);
      await runOnce(application);
      expect(await untilAllIsDone(application, sid)).toMatchObject({ state: 'sent', attempts: 1 });
      expect(smsFor(application, sid)).toHaveLength(1);
      expect(await sourcesOf(application, sid)).toEqual({ sent: 'callback', [status]: 'poll' });
      expect(await waiting(application)).toEqual([]);
    },
  );

  it('has its SMS report to the configured URL, because no callback named one', async () => {
    const sid = await seedAndSend({ status: 'sent' }, { ...POLICY_FAILURE, dropped: true });
    await pass(application, 10);
    await runOnce(application);
    const { id, statusCallbackUrl } = await untilAllIsDone(application, sid);
    expect(statusCallbackUrl).toBeNull();
    const [sms] = smsFor(application, sid);
    expect(sms?.statusCallback).toContain(`/message-status?sms_fallback_id=${id}#`);
  });

  it('is in the log as an event with every column and without the text', async () => {
    const sid = await seedAndSend({ status: 'sent' }, { ...POLICY_FAILURE, dropped: true });
    await pass(application, 10);
    await runOnce(application);
    const event = await application.dataSource.manager.findOneByOrFail(MessageEvent, {
      messageSid: sid,
      messageStatus: 'undelivered',
    });
    expect(event).toMatchObject({
      channel: 'whatsapp',
      toNumber: recipientOf(sid),
      fromNumber: '+15550001111',
      errorCode: '63049',
      errorMessage: 'Meta chose not to',
      source: 'poll',
      payload: { sid, status: 'undelivered', to: `whatsapp:${recipientOf(sid)}`, errorCode: 63049 },
    });
    expect(JSON.stringify(event.payload)).not.toContain('appointment');
    await follow(application);
    const [row] = await application.query('select status from messages where twilio_sid = $1', [sid]);
    expect(row).toEqual({ status: 'undelivered' });
  });

  it('makes one event and one SMS with the same status when it comes later', async () => {
    const sid = await seedAndSend({ status: 'sent' }, { ...POLICY_FAILURE, dropped: true });
    await pass(application, 10);
    await Promise.all([runOnce(application), policyFailure(application, sid)]);
    await untilAllIsDone(application, sid);
    await policyFailure(application, sid);
    await untilQueueIsEmpty(application);
    expect(Object.keys(await sourcesOf(application, sid)).toSorted()).toEqual(['sent', 'undelivered']);
    expect(smsFor(application, sid)).toHaveLength(1);
  });

  it('makes one SMS when the poll says failed and the late callback undelivered', async () => {
    const sid = await seedAndSend({ status: 'sent' }, { ...POLICY_FAILURE, status: 'failed', dropped: true });
    await pass(application, 10);
    await runOnce(application);
    await policyFailure(application, sid);
    await untilAllIsDone(application, sid);
    expect(smsFor(application, sid)).toHaveLength(1);
  });

  it('is found for a row of messages without any report', async () => {
    const sid = await seedAndSend({ status: 'sent', dropped: true }, { ...POLICY_FAILURE, dropped: true });
    expect(await sourcesOf(application, sid)).toEqual({});
    await pass(application, 10);
    await runOnce(application);
    await untilAllIsDone(application, sid);
    expect(await sourcesOf(application, sid)).toEqual({ undelivered: 'poll' });
    expect(smsFor(application, sid)).toHaveLength(1);
  });

  it('is found in the account of a callback that came after the main account was asked', async () => {
    const { twilioSid: sid } = await seedMessage(application.dataSource);
    const message = await sendWhatsapp(
      application,
      [
        { status: 'sent', dropped: true },
        { ...POLICY_FAILURE, dropped: true },
      ],
      sid,
      SUBACCOUNT.sid,
    );
    application.twilio.failNext({ on: 'fetch', fault: { type: 'error', status: 500, code: 20500 } });
    await pass(application, 10);
    await runOnce(application);
    const parameters = statusParametersOf(message, { status: 'sent' });
    await application.twilio.sendCallback({ url: WEBHOOK_URL, parameters });
    await pass(application, 10);
    await runOnce(application);
    await pass(application, 1);
    await runOnce(application);
    expect(await untilAllIsDone(application, sid)).toMatchObject({
      state: 'sent',
      accountSid: SUBACCOUNT.sid,
    });
    expect(await sourcesOf(application, sid)).toEqual({ sent: 'callback', undelivered: 'poll' });
  });

  it('is found if the application knows of the failure and this service does not', async () => {
    const { twilioSid } = await seedMessage(application.dataSource, { status: 'failed' });
    await sendWhatsapp(application, [{ ...POLICY_FAILURE, dropped: true }], twilioSid);
    await pass(application, 10);
    await runOnce(application);
    await untilAllIsDone(application, twilioSid);
    expect(smsFor(application, twilioSid)).toHaveLength(1);
  });

  it('does not hold back a message that was stored after the last callback: it follows its events', async () => {
    const sid = randomMessageSid();
    await sendWhatsapp(application, [{ status: 'failed', errorCode: 63016 }], sid);
    const { id } = await seedMessage(application.dataSource, { twilioSid: sid });
    // Its look for such rows is over, as for a row that is added after some minutes.
    await application.query('delete from message_event_outbox');
    await pass(application, 10);
    await runOnce(application);
    await follow(application);
    expect(await application.query('select status from messages where id = $1', [id])).toEqual([
      { status: 'failed' },
    ]);
  });

  it('leaves no message behind its events if the database goes away after its row was read', async () => {
    const sid = randomMessageSid();
    await sendWhatsapp(application, [{ status: 'sent' }, { status: 'delivered' }], sid);
    await follow(application);
    const { id } = await seedMessage(application.dataSource, { twilioSid: sid });
    await pass(application, 10);
    const followAgain = jest
      .spyOn(application.app.get(MessageEventsService, { strict: false }), 'followAgain')
      .mockRejectedValueOnce(new Error('Connection terminated unexpectedly'));
    await expect(runOnce(application)).rejects.toThrow('Connection terminated unexpectedly');
    followAgain.mockRestore();
    await runOnce(application);
    await follow(application);
    expect(await application.query('select status from messages where id = $1', [id])).toEqual([
      { status: 'delivered' },
    ]);
  });

  it('of a delivery is recorded, and nothing is sent', async () => {
    const sid = await seedAndSend({ status: 'sent' }, { status: 'delivered', dropped: true });
    await pass(application, 10);
    await runOnce(application);
    expect(await sourcesOf(application, sid)).toEqual({ sent: 'callback', delivered: 'poll' });
    expect(await findFallback(application, sid)).toBeNull();
  });

  it.each([
    ['an incoming message', { direction: 'inbound' }],
    ['an SMS', { channel: 'sms' }],
    ['a message that was delivered', { status: 'delivered' }],
    ['a message that was not sent yet', { twilio_sid: null }],
  ])('is not looked for with %s', async (_, changes) => {
    const { id, twilioSid } = await seedMessage(application.dataSource);
    for (const [column, value] of Object.entries(changes)) {
      await application.query(`update messages set ${column} = $1 where id = $2`, [value, id]);
    }
    await pass(application, 10);
    await runOnce(application);
    expect(asked(application, twilioSid)).toEqual([]);
    expect(await waiting(application)).toEqual([]);
  });
});
