import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { TestApplication } from '../support/application.js';
import { attemptNow, expectOneSms, smsFor, untilFallbackIs } from '../support/fallbacks.js';
import { untilQueueIsEmpty } from '../support/job-queue.js';
import { randomMessageSid, seedMessage } from '../support/seed.js';
import { createTestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { addFallback, seedFallback } from './ended-fallback.js';
import { runCommand } from './run-command.js';

describe('npm run fallbacks -- retry, of a fallback that waits or has waited', () => {
  let database: DatabaseConnection;
  let application: TestApplication;

  beforeAll(async () => {
    database = await createTestDatabase();
    application = await TestApplication.start({ database });
  });

  afterAll(async () => {
    await application.close();
    await database.close();
  });

  const retry = (...args: string[]) => runCommand(database, 'fallbacks', ['retry', ...args]);

  it('waits again for an original message that was not found', async () => {
    const twilioSid = randomMessageSid();
    const body = 'Stored at last';
    const id = await addFallback(
      application,
      { twilioSid, companyPhoneNumber: null, body },
      { state: 'skipped', reason: 'original_message_not_found' },
    );
    await retry(twilioSid);
    await until('the message to be waited for', async () => {
      const fallback = await untilFallbackIs(application, twilioSid, 'claimed');
      return fallback.reason === 'waiting_for_original_message' && fallback.lockedUntil === null;
    });
    await seedMessage(application.dataSource, { twilioSid, body });
    await attemptNow(application, id);
    await expectOneSms(application, twilioSid);
    expect(smsFor(application, twilioSid)).toMatchObject([{ body }]);
  });

  it('gives Twilio its time again after it was unreachable for too long', async () => {
    const { twilioSid } = await seedFallback(application, {
      state: 'failed',
      reason: 'twilio_unavailable',
      attempts: 9,
    });
    application.twilio.failNext({ on: 'create', fault: { type: 'error', status: 400, code: 30017 } });
    await retry(twilioSid);
    const waiting = await until('the try that Twilio did not take', async () => {
      const fallback = await untilFallbackIs(application, twilioSid, 'claimed', 'sent');
      return fallback.attempts === 10 && fallback.state === 'claimed' && fallback;
    });
    expect(waiting.reason).toBe('twilio_unavailable');
    // The pauses of a first try: about a second, not a minute.
    expect(waiting.nextAttemptAt.getTime() - waiting.updatedAt.getTime()).toBeLessThanOrEqual(2_000);
    expect(await expectOneSms(application, twilioSid)).toMatchObject({ attempts: 11 });
  });

  it('takes the next step at once if the fallback is waiting', async () => {
    const { twilioSid } = await seedFallback(application, {
      state: 'claimed',
      reason: 'twilio_unavailable',
      nextAttemptAt: minutesAgo(-60),
      createdAt: minutesAgo(1),
    });
    const run = await retry(twilioSid);
    expect(run.output).toContain('had not ended: its next step is taken now');
    expect(await expectOneSms(application, twilioSid)).toMatchObject({ retriedAt: null });
  });

  it('skips a fallback that a worker is processing', async () => {
    const { twilioSid, fallbackId } = await seedFallback(application, {
      state: 'sending',
      attempts: 1,
      lockedUntil: minutesAgo(-60),
    });
    const run = await retry(twilioSid);
    expect(run.output).toContain('is being worked on at this moment');
    await untilQueueIsEmpty(application);
    expect(await untilFallbackIs(application, twilioSid, 'sending')).toMatchObject({
      id: fallbackId,
      attempts: 1,
    });
  });
});
