import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { demoAccount } from '../../simulator/demo-account.js';
import { TestApplication, WEBHOOK_URL } from '../support/application.js';
import { addEvents } from '../support/following.js';
import { randomMessageSid } from '../support/seed.js';
import { statusParametersOf } from '../../simulator/callback-parameters.js';
import { asked, lines, pass, POLICY_FAILURE, runOnce, sendWhatsapp, waiting } from './polling.js';

describe('a message without a final status', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterEach(async () => {
    await application.query('delete from message_polls');
  });

  afterAll(() => application.close());

  it('is polled after ten minutes, and not before', async () => {
    const { sid } = await sendWhatsapp(application, [{ status: 'sent' }]);
    await pass(application, 9);
    await runOnce(application);
    expect(asked(application, sid)).toEqual([]);
    await pass(application, 1);
    await runOnce(application);
    await runOnce(application);
    expect(asked(application, sid)).toHaveLength(1);
  });

  it('is polled with gaps that double, for a day, and then forgotten', async () => {
    const { sid } = await sendWhatsapp(application, [{ status: 'sent' }]);
    const minutesOfPolls: number[] = [];
    for (let minute = 10; minute <= 27 * 60; minute += 10) {
      await pass(application, 10);
      const before = asked(application, sid).length;
      await runOnce(application);
      if (asked(application, sid).length > before) minutesOfPolls.push(minute);
    }
    expect(minutesOfPolls).toEqual([10, 30, 70, 150, 310, 630, 1_270]);
    expect(await waiting(application)).toEqual([]);
  });

  it('starts again with the shortest gap when its status moves on', async () => {
    const message = await sendWhatsapp(application, [{ status: 'queued' }]);
    for (const minutes of [10, 20, 40]) {
      await pass(application, minutes);
      await runOnce(application);
    }
    const parameters = statusParametersOf(message, { status: 'sent' });
    await application.twilio.sendCallback({ url: WEBHOOK_URL, parameters });
    await pass(application, 9);
    await runOnce(application);
    expect(asked(application, message.sid)).toHaveLength(3);
    await pass(application, 1);
    await runOnce(application);
    expect(asked(application, message.sid)).toHaveLength(4);
  });

  it.each(['delivered', 'read', 'failed', 'undelivered', 'canceled', 'received'])(
    'is no longer polled after the status %s, whenever that came',
    async (status) => {
      const early = await sendWhatsapp(application, [{ status: 'sent' }, { status }]);
      const late = await sendWhatsapp(application, [{ status: 'sent' }]);
      await pass(application, 10);
      await runOnce(application);
      const parameters = statusParametersOf(late, { status });
      await application.twilio.sendCallback({ url: WEBHOOK_URL, parameters });
      await pass(application, 20);
      await runOnce(application);
      expect(asked(application, early.sid)).toEqual([]);
      expect(asked(application, late.sid)).toHaveLength(1);
      expect(await waiting(application)).toEqual([]);
    },
  );

  it('is polled while its status is unknown to the service', async () => {
    const { sid } = await sendWhatsapp(application, [{ status: 'teleporting' }]);
    await pass(application, 10);
    await runOnce(application);
    expect(asked(application, sid)).toHaveLength(1);
    expect(await waiting(application)).toEqual([sid]);
  });

  it('is forgotten if Twilio does not know it', async () => {
    const { sid } = await sendWhatsapp(application, [{ status: 'sent' }]);
    application.twilio.failNext({ on: 'fetch', fault: { type: 'error', status: 404, code: 20404 } });
    await pass(application, 10);
    await runOnce(application);
    expect(asked(application, sid)).toHaveLength(1);
    expect(await waiting(application)).toEqual([]);
    expect(lines(application, 'Twilio does not know a message')).toMatchObject([
      { fields: [{ messageSid: sid }] },
    ]);
  });

  it('is forgotten once its account is no longer configured', async () => {
    const sid = randomMessageSid();
    await addEvents(
      application,
      `insert into message_events (id, message_sid, message_status, channel, account_sid, payload)
       values ($1, $2, 'sent', 'whatsapp', 'ACgone', '{}')`,
      [randomUUID(), sid],
    );
    await pass(application, 10);
    await runOnce(application);
    expect(asked(application, sid)).toEqual([]);
    expect(await waiting(application)).toEqual([]);
    expect(lines(application, 'The account of a message is not configured')).toHaveLength(1);
  });

  it.each([
    ['an error', { type: 'error', status: 500, code: 20500 }],
    ['a reset', { type: 'resetBeforeAccepting' }],
  ] as const)('is polled again after the next gap when Twilio answers with %s', async (_, fault) => {
    const { sid } = await sendWhatsapp(application, [
      { status: 'sent' },
      { ...POLICY_FAILURE, dropped: true },
    ]);
    application.twilio.failNext({ on: 'fetch', fault });
    await pass(application, 10);
    await runOnce(application);
    expect(await waiting(application)).toEqual([sid]);
    await pass(application, 20);
    await runOnce(application);
    expect(asked(application, sid)).toHaveLength(2);
    expect(await waiting(application)).toEqual([]);
  });

  it('is polled as the account that its callbacks named', async () => {
    const { sid } = await sendWhatsapp(application, [{ status: 'sent' }]);
    await pass(application, 10);
    await runOnce(application);
    const request = application.twilio.requests.find(({ path }) => path.includes(sid));
    expect(request).toMatchObject({ accountSid: demoAccount.sid, authenticated: true });
  });
});
