import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { SimulatedMessage } from '../../simulator/message.js';
import type { SmsFallback } from '../../src/fallback/sms-fallback.entity.js';
import { TestApplication } from '../support/application.js';
import { policyFailure, recipientOf, smsFor, untilAllIsDone, whatsappStatus } from '../support/fallbacks.js';
import { randomMessageSid, seedMessage } from '../support/seed.js';

describe('the text and the recipient of the SMS', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(() => application.close());

  /** The message at Twilio, as its API returns it. */
  function knownToTwilio(sid: string, body: string): void {
    application.twilio.addMessage({ sid, to: `whatsapp:${recipientOf(sid)}`, body });
  }

  function fetches(sid: string): number {
    return application.twilio.requests.filter(({ method, path }) => method === 'GET' && path.includes(sid))
      .length;
  }

  async function fallBack(messageSid: string): Promise<[SimulatedMessage | undefined, SmsFallback]> {
    await policyFailure(application, messageSid);
    const fallback = await untilAllIsDone(application, messageSid);
    return [smsFor(application, messageSid)[0], fallback];
  }

  it('are those of messages, without a request to Twilio once the sending was reported', async () => {
    const { twilioSid } = await seedMessage(application.dataSource, { body: 'Grüße 👋\nsee you at 10' });
    knownToTwilio(twilioSid, 'Something else');
    await whatsappStatus(application, twilioSid, { status: 'sent' });
    const [sms, fallback] = await fallBack(twilioSid);
    expect(sms?.body).toBe('Grüße 👋\nsee you at 10');
    expect(fallback).toMatchObject({ body: 'Grüße 👋\nsee you at 10', truncated: false });
    expect(fetches(twilioSid)).toBe(0);
  });

  it.each([null, '', '  \n'])(
    'include what Twilio rendered if messages.body is %j, as it is for a template',
    async (body) => {
      const { twilioSid } = await seedMessage(application.dataSource, { body });
      knownToTwilio(twilioSid, 'Hello Ada, your table is booked.');
      const [sms] = await fallBack(twilioSid);
      expect(sms?.body).toBe('Hello Ada, your table is booked.');
    },
  );

  it('include the rendered text on a later try if Twilio was unavailable at first', async () => {
    const { twilioSid } = await seedMessage(application.dataSource, { body: null });
    knownToTwilio(twilioSid, 'Hello Ada, your table is booked.');
    application.twilio.failNext({ on: 'fetch', fault: { type: 'error', status: 503, code: 20503 } });
    const [sms, fallback] = await fallBack(twilioSid);
    expect(sms?.body).toBe('Hello Ada, your table is booked.');
    expect(fallback).toMatchObject({ state: 'sent', attempts: 1 });
    expect(fetches(twilioSid)).toBe(2);
  });

  it('include a text of 1600 characters whole', async () => {
    const { twilioSid } = await seedMessage(application.dataSource, { body: 'a'.repeat(1600) });
    const [sms, fallback] = await fallBack(twilioSid);
    expect(sms?.body).toBe('a'.repeat(1600));
    expect(fallback.truncated).toBe(false);
  });

  it('include a longer text cut to 1600 characters with …, which is recorded', async () => {
    const { twilioSid } = await seedMessage(application.dataSource, { body: 'a'.repeat(1601) });
    const [sms, fallback] = await fallBack(twilioSid);
    expect(sms?.body).toBe(`${'a'.repeat(1599)}…`);
    expect(fallback).toMatchObject({ truncated: true, body: sms?.body });
  });

  it('include a cut text that Twilio rendered, without a split emoji', async () => {
    const { twilioSid } = await seedMessage(application.dataSource, { body: '' });
    knownToTwilio(twilioSid, '👋'.repeat(900));
    const [sms, fallback] = await fallBack(twilioSid);
    expect(sms?.body).toBe(`${'👋'.repeat(799)}…`);
    expect(fallback.truncated).toBe(true);
  });

  it('include the original recipient without whatsapp:', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    const [sms, fallback] = await fallBack(twilioSid);
    expect(sms?.parameters['To']).toBe(recipientOf(twilioSid));
    expect(fallback.toNumber).toBe(recipientOf(twilioSid));
  });

  it('include the recipient that Twilio returns if the callback left out To', async () => {
    const sid = randomMessageSid();
    const message = await seedMessage(application.dataSource, { twilioSid: sid });
    knownToTwilio(sid, 'Something else');
    await policyFailure(application, sid, { without: ['To'] });
    const fallback = await untilAllIsDone(application, sid);
    expect(fallback.toNumber).toBe(recipientOf(sid));
    expect(smsFor(application, sid)).toMatchObject([{ body: message.body }]);
  });
});
