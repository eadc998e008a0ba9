import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Injectable, Module } from '@nestjs/common';
import type { SmsFallbackEnded } from '../../src/fallback/fallback.events.js';
import { at, FallbackPolicy, type PolicyDecision, send, skip } from '../../src/fallback/fallback-policy.js';
import { OnDomainEvent } from '../../src/domain-events/on-domain-event.decorator.js';
import type { WhatsappPolicyFailed } from '../../src/message-events/policy-failure.js';
import type { OriginalMessage } from '../../src/messages/original-messages.js';
import { callApi, withAdminKeys } from '../operations/api.js';
import { TestApplication } from '../support/application.js';
import {
  attemptNow,
  attemptsFor,
  expectOneSms,
  policyFailure,
  untilAllIsDone,
  untilFallbackIs,
} from '../support/fallbacks.js';
import { seedMessage } from '../support/seed.js';
import { until } from '../support/until.js';

class ScriptedPolicy extends FallbackPolicy {
  readonly asked: { event: WhatsappPolicyFailed; original: OriginalMessage }[] = [];
  decision: PolicyDecision = send;

  decide(event: WhatsappPolicyFailed, original: OriginalMessage): PolicyDecision {
    this.asked.push({ event, original });
    return this.decision;
  }
}

@Injectable()
class Ends {
  readonly all: SmsFallbackEnded[] = [];

  @OnDomainEvent('sms_fallback.ended')
  note(event: SmsFallbackEnded): void {
    this.all.push(event);
  }
}

@Module({ providers: [Ends] })
class TeamModule {}

describe('a policy', () => {
  let policy: ScriptedPolicy;
  let application: TestApplication;

  beforeEach(async () => {
    policy = new ScriptedPolicy();
    application = await TestApplication.start({
      parts: { fallbackPolicy: { useValue: policy } },
      options: { policyFailureErrorCodes: ['63049', '63024'] },
      env: withAdminKeys,
      imports: [TeamModule],
    });
  });

  afterEach(async () => {
    jest.restoreAllMocks();
    await application.close();
  });

  const ends = (messageSid: string) =>
    application.app.get(Ends, { strict: false }).all.filter((end) => end.originalMessageSid === messageSid);

  it('learns the failure and the original, and lets the SMS go', async () => {
    const { twilioSid, body } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid, { errorCode: 63024, status: 'failed' });
    const { id, smsMessageSid } = await expectOneSms(application, twilioSid);
    expect(policy.asked).toMatchObject([
      {
        event: { messageSid: twilioSid, errorCode: '63024', messageStatus: 'failed' },
        original: { body, company: { phoneNumber: '+15550001111' } },
      },
    ]);
    expect(ends(twilioSid)).toMatchObject([
      { smsFallbackId: id, state: 'sent', reason: null, smsMessageSid },
    ]);
  });

  it('keeps an SMS from being sent, and its reason is in the row, the event, and the API', async () => {
    policy.decision = skip('not_for_tenant_b');
    const { twilioSid } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid);
    const { id } = await untilAllIsDone(application, twilioSid);
    expect(attemptsFor(application, twilioSid)).toEqual([]);
    const end = { state: 'skipped', reason: 'not_for_tenant_b' };
    expect(ends(twilioSid)).toMatchObject([{ smsFallbackId: id, ...end, smsMessageSid: null }]);
    const { body } = await callApi(application, `/api/v1/fallbacks/${id}`);
    expect(body).toMatchObject({ ...end, meaning: 'The rules allow no SMS: not_for_tenant_b.' });
  });

  it('defers an SMS without making it overdue, and is asked again', async () => {
    const later = new Date(Date.now() + 3_600_000);
    policy.decision = at(later);
    const { twilioSid } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid);
    const waiting = await until('the fallback to wait', async () => {
      const fallback = await untilFallbackIs(application, twilioSid, 'claimed');
      return fallback.reason === 'deferred' && fallback;
    });
    expect(Math.abs(waiting.nextAttemptAt.getTime() - later.getTime())).toBeLessThan(1_000);
    expect(waiting.dueSince).toEqual(waiting.nextAttemptAt);
    policy.decision = send;
    await attemptNow(application, waiting.id);
    await expectOneSms(application, twilioSid);
    expect(policy.asked).toHaveLength(2);
  });

  it('does not defer an SMS beyond the age of its original', async () => {
    policy.decision = at(new Date(Date.now() + 24 * 3_600_000));
    const { twilioSid } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid, { status: 'sent', errorCode: undefined });
    await policyFailure(application, twilioSid);
    const waiting = await until('the fallback to wait', async () => {
      const fallback = await untilFallbackIs(application, twilioSid, 'claimed');
      return fallback.reason === 'deferred' && fallback;
    });
    expect(waiting.nextAttemptAt.getTime()).toBeLessThan(Date.now() + 4 * 3_600_000);
  });

  it.each([
    [
      'that throws',
      () => {
        throw new Error('The rules cannot be read');
      },
    ],
    ['with a reason that the row cannot keep', () => skip('Not at night!')],
  ])('%s is asked again', async (_, decide) => {
    jest.spyOn(policy, 'decide').mockImplementationOnce(decide);
    const { twilioSid } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid);
    const claimed = await until('the job to have failed', async () => {
      const [job] = await application.query<{ error: string }>(
        'select last_error as error from whatsapp_sms_fallback_queue._private_jobs where last_error is not null',
      );
      return job;
    });
    expect(claimed.error).toMatch(/rules cannot be read|lower-case letters/);
    const { id } = await untilFallbackIs(application, twilioSid, 'claimed');
    // As if the lock of the failed attempt had run out.
    await application.query('update sms_fallbacks set locked_until = now() where id = $1', [id]);
    await attemptNow(application, id);
    await expectOneSms(application, twilioSid);
  });
});
