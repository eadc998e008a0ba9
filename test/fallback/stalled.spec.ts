import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { SmsFallback } from '../../src/fallback/sms-fallback.entity.js';
import { StalledFallbacks } from '../../src/fallback/stalled-fallbacks.js';
import { TestApplication } from '../support/application.js';
import { findFallback, smsFor, untilAllIsDone } from '../support/fallbacks.js';
import { jobsOf } from '../support/job-queue.js';
import { seedMessage } from '../support/seed.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { leaveBehind } from './leave-behind.js';

describe('an open fallback without a job', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(() => application.close());

  async function leave(row: Partial<SmsFallback>): Promise<{ id: string; twilioSid: string }> {
    const message = await seedMessage(application.dataSource);
    return { id: await leaveBehind(application, message, row), twilioSid: message.twilioSid };
  }

  function look(): Promise<void> {
    return application.app.get(StalledFallbacks).runOnce();
  }

  function linesAboutIt(): number {
    const message = 'Stalled fallbacks are taken up again';
    return application.logs.messages().filter((line) => line === message).length;
  }

  it('is taken up again by one of the replicas that look', async () => {
    const { twilioSid } = await leave({ state: 'claimed', nextAttemptAt: minutesAgo(11) });
    await Promise.all([look(), look(), look()]);
    expect(linesAboutIt()).toBe(1);
    expect(await untilAllIsDone(application, twilioSid)).toMatchObject({ state: 'sent', attempts: 1 });
    expect(smsFor(application, twilioSid)).toHaveLength(1);
  });

  it('is left to its job for ten minutes', async () => {
    const { id, twilioSid } = await leave({ state: 'claimed', nextAttemptAt: minutesAgo(9) });
    await look();
    expect(await jobsOf(application, 'sms_fallback.attempt_due')).toEqual([]);
    expect(await findFallback(application, twilioSid)).toMatchObject({ id, state: 'claimed' });
  });

  it('is left to the worker that has it', async () => {
    const { twilioSid } = await leave({
      state: 'sending',
      attemptStartedAt: minutesAgo(11),
      nextAttemptAt: minutesAgo(11),
      lockedUntil: minutesAgo(-1),
    });
    await look();
    expect(await findFallback(application, twilioSid)).toMatchObject({ state: 'sending' });
    expect(smsFor(application, twilioSid)).toEqual([]);
  });

  it('is taken up less and less often as it ages', async () => {
    const { twilioSid } = await leave({
      state: 'claimed',
      createdAt: minutesAgo(180),
      nextAttemptAt: minutesAgo(40),
    });
    await look();
    expect(await findFallback(application, twilioSid)).toMatchObject({ state: 'claimed' });
    await application.query('update sms_fallbacks set next_attempt_at = $2 where original_message_sid = $1', [
      twilioSid,
      minutesAgo(50),
    ]);
    await look();
    expect(await untilAllIsDone(application, twilioSid)).toMatchObject({ state: 'sent' });
  });
});
