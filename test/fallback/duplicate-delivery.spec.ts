import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { whatsappStatusParameters } from '../../simulator/callback-parameters.js';
import type { SmsFallbackState } from '../../src/fallback/sms-fallback-state.js';
import { TestApplication, WEBHOOK_URL } from '../support/application.js';
import {
  findFallback,
  policyFailure,
  recipientOf,
  untilAllIsDone,
  untilFallbackIs,
} from '../support/fallbacks.js';
import { follow } from '../support/following.js';
import { seedMessage } from '../support/seed.js';

const MESSAGE = 'WhatsApp delivered the message after its SMS fallback';

describe('a delivery by WhatsApp after its failure', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(() => application.close());

  async function fallBack(): Promise<string> {
    const { twilioSid } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid);
    await untilAllIsDone(application, twilioSid);
    return twilioSid;
  }

  async function report(messageSid: string, status: string): Promise<Date> {
    const to = recipientOf(messageSid);
    const parameters = whatsappStatusParameters({ messageSid, status, to, from: '+15550001111' });
    await application.twilio.sendCallback({ url: WEBHOOK_URL, parameters });
    const [row] = await application.query<{ at: Date }>(
      'select created_at as at from message_events where message_sid = $1 and message_status = $2',
      [messageSid, status],
    );
    if (row === undefined) throw new Error('The callback was not stored');
    return row.at;
  }

  function linesOf(messageSid: string) {
    return application.logs.lines.filter(
      ({ message, fields }) => message === MESSAGE && JSON.stringify(fields).includes(messageSid),
    );
  }

  it('is recorded on the fallback with its time, and logged once', async () => {
    const sid = await fallBack();
    const deliveredAt = await report(sid, 'delivered');
    await report(sid, 'read');
    await Promise.all([follow(application), follow(application)]);
    expect(await findFallback(application, sid)).toMatchObject({
      state: 'sent',
      duplicateDeliveryAt: deliveredAt,
    });
    expect(linesOf(sid)).toHaveLength(1);
  });

  it('is recorded from read if delivered never came', async () => {
    const sid = await fallBack();
    const readAt = await report(sid, 'read');
    await follow(application);
    expect(await findFallback(application, sid)).toMatchObject({ duplicateDeliveryAt: readAt });
  });

  it.each(['delivered', 'read'])(
    'is recorded too if it came as %s before the SMS was recorded',
    async (status) => {
      const { twilioSid } = await seedMessage(application.dataSource);
      application.twilio.failNext({ on: 'create', fault: { type: 'resetAfterAccepting' } });
      await policyFailure(application, twilioSid);
      await untilFallbackIs(application, twilioSid, 'uncertain', 'sent');
      const deliveredAt = await report(twilioSid, status);
      await untilAllIsDone(application, twilioSid);
      await follow(application);
      expect(await findFallback(application, twilioSid)).toMatchObject({ duplicateDeliveryAt: deliveredAt });
    },
  );

  it.each<[SmsFallbackState, boolean]>([
    ['sending', true],
    ['uncertain', true],
    ['sent', true],
    ['claimed', false],
    ['skipped', false],
    ['failed', false],
  ])('of a fallback that is %s: recorded %s', async (state, isRecorded) => {
    const sid = await fallBack();
    await application.query(
      `update sms_fallbacks set state = $1, reason = 'changed by hand' where original_message_sid = $2`,
      [state, sid],
    );
    await report(sid, 'delivered');
    await follow(application);
    const fallback = await findFallback(application, sid);
    expect(fallback?.duplicateDeliveryAt !== null).toBe(isRecorded);
    // Otherwise it would be open, and a job would continue it.
    await application.query(`update sms_fallbacks set state = 'sent' where original_message_sid = $1`, [sid]);
  });

  it('is not recorded while the message has only been sent', async () => {
    const sid = await fallBack();
    await report(sid, 'sent');
    await follow(application);
    expect(await findFallback(application, sid)).toMatchObject({ duplicateDeliveryAt: null });
    expect(linesOf(sid)).toEqual([]);
    // Nor is there a line about nothing.
    const lines = application.logs.lines.filter(({ message }) => message === MESSAGE);
    const fields = { originalMessageSid: expect.stringMatching(/^SM/) as unknown };
    for (const line of lines) expect(line.fields).toEqual([expect.objectContaining(fields)]);
  });

  it('is recorded however late it comes', async () => {
    const sid = await fallBack();
    await application.query(
      `update sms_fallbacks set created_at = now() - interval '49 hours' where original_message_sid = $1`,
      [sid],
    );
    const deliveredAt = await report(sid, 'delivered');
    await follow(application);
    expect(await findFallback(application, sid)).toMatchObject({ duplicateDeliveryAt: deliveredAt });
  });
});
