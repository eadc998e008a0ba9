import { afterEach, describe, expect, it } from '@jest/globals';
import { demoAccount } from '../../simulator/demo-account.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { TestApplication } from '../support/application.js';
import { withTwilioTimeout } from '../support/fallbacks.js';
import { addEvents } from '../support/following.js';
import { randomMessageSid } from '../support/seed.js';
import { createTestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';
import { asked, lines, pass, runOnce, sendWhatsapp, waiting } from './polling.js';

describe('the load on Twilio and the database', () => {
  const applications: TestApplication[] = [];
  let database: DatabaseConnection | undefined;

  afterEach(async () => {
    for (const application of applications.splice(0)) await application.close();
    await database?.close();
    database = undefined;
  });

  async function start(options: Parameters<typeof TestApplication.start>[0] = {}): Promise<TestApplication> {
    const application = await TestApplication.start(options);
    applications.push(application);
    return application;
  }

  /** Messages whose last callback said `sent`, ten minutes ago. */
  async function sent(application: TestApplication, count: number): Promise<string[]> {
    const sids = Array.from({ length: count }, () => randomMessageSid());
    await Promise.all(sids.map((sid) => sendWhatsapp(application, [{ status: 'sent' }], sid)));
    await pass(application, 10);
    return sids;
  }

  it('is one request for each message, whichever of two replicas it is due at', async () => {
    database = await createTestDatabase();
    const replicas = [await start({ database }), await start({ database })] as const;
    const sids = await sent(replicas[0], 130);
    for (const sid of sids) replicas[1].twilio.addMessage({ sid, to: 'whatsapp:+15557654321' });
    const requests = () => sids.map((sid) => replicas.flatMap((replica) => asked(replica, sid)).length);
    await Promise.all(replicas.map(runOnce));
    expect(requests()).toEqual(Array(130).fill(1));
    await Promise.all(replicas.map((replica) => pass(replica, 10)));
    await Promise.all(replicas.map(runOnce));
    expect(requests()).toEqual(Array(130).fill(2));
  });

  it('is at most five requests at a time', async () => {
    const timeout = 3_000;
    const application = await start({ override: withTwilioTimeout(timeout) });
    await sent(application, 12);
    application.twilio.failNext({ on: 'fetch', times: Infinity, fault: { type: 'hangBeforeAccepting' } });
    await runOnce(application);
    const times = asked(application).map((time) => time.getTime());
    expect(times).toHaveLength(12);
    for (const [index, time] of times.slice(5).entries()) {
      // The timeout of a request and its arrival use two clocks.
      expect(time - (times[index] ?? 0)).toBeGreaterThan(timeout / 2);
    }
  });

  it('is one batch per look while Twilio does not answer, and nothing is forgotten', async () => {
    const application = await start();
    const sids = await sent(application, 120);
    application.twilio.failNext({ on: 'fetch', times: Infinity, fault: { type: 'resetBeforeAccepting' } });
    await runOnce(application);
    expect(asked(application)).toHaveLength(50);
    expect(await waiting(application)).toHaveLength(120);
    application.twilio.forget();
    for (const sid of sids) {
      application.twilio.addMessage({ sid, to: 'whatsapp:+15557654321', status: 'delivered' });
    }
    await pass(application, 30);
    await runOnce(application);
    expect(await waiting(application)).toEqual([]);
  });

  it('is one batch per look for any number of events, and all of them are read', async () => {
    const application = await start();
    await addEvents(
      application,
      `insert into message_events (message_sid, message_status, channel, account_sid, payload)
       select 'SMbulk' || number, 'sent', 'whatsapp', $1, '{}' from generate_series(1, 7000) as number`,
      [demoAccount.sid],
    );
    await pass(application, 10);
    application.twilio.failNext({ on: 'fetch', times: Infinity, fault: { type: 'resetBeforeAccepting' } });
    await runOnce(application);
    expect(asked(application)).toHaveLength(50);
    expect(await waiting(application)).toHaveLength(7000);
  });

  it("pauses for as long as Twilio's 429 asks, and then continues", async () => {
    const application = await start();
    const sids = await sent(application, 20);
    const fault = { type: 'error', status: 429, code: 20429, retryAfterSeconds: 1 } as const;
    application.twilio.failNext({ on: 'fetch', times: 20, fault });
    await runOnce(application);
    const [limited] = asked(application);
    const before = asked(application).length;
    expect(before).toBeLessThanOrEqual(5);
    await runOnce(application);
    expect(asked(application)).toHaveLength(before);
    expect(
      lines(application, 'Twilio limits the rate of requests; statuses are not asked for until then'),
    ).toHaveLength(1);
    application.twilio.forget();
    for (const sid of sids)
      application.twilio.addMessage({ sid, to: 'whatsapp:+15557654321', status: 'delivered' });
    await until('every message to be asked about', async () => {
      await runOnce(application);
      return (await waiting(application)).length === 0;
    });
    expect(asked(application)).toHaveLength(20);
    const [next] = asked(application);
    expect((next?.getTime() ?? 0) - (limited?.getTime() ?? 0)).toBeGreaterThanOrEqual(1_000);
  });

  it('is bounded if one transaction adds thousands of events, and none is missed', async () => {
    const application = await start();
    await addEvents(
      application,
      `insert into message_events (message_sid, message_status, channel, account_sid, payload)
       select 'SMbulk' || number, case when number % 1000 = 0 then 'sent' else 'delivered' end, 'whatsapp', 'AC1', '{}'
         from generate_series(1, 9000) as number`,
    );
    await application.query(
      `insert into messages (twilio_sid, direction, channel)
       select case when number % 3 = 0 then null else 'SMrow' || number end, 'outbound',
              case when number % 1000 = 1 then 'whatsapp' else 'sms' end
         from generate_series(1, 9000) as number`,
    );
    await pass(application, 10);
    await runOnce(application);
    // 9 of the events match. 9 rows have the channel, and every third of them has no SID.
    expect(lines(application, 'The account of a message is not configured')).toHaveLength(9);
    expect(lines(application, 'Twilio does not know a message')).toHaveLength(6);
    expect(await waiting(application)).toEqual([]);
  });
});
