import type { CallbackPlan, CallbackStep } from '../simulator/callback-plan.js';
import type { Random } from './random.js';

/** Meta's policy kept the message from its recipient. */
export const POLICY_ERROR_CODE = 63049;

/** Statuses of a failure. */
export const FAILED: readonly string[] = ['failed', 'undelivered'];

/** Statuses that mean that the person has the message. */
export const DELIVERED: readonly string[] = ['delivered', 'read'];

/**
 * Codes of an SMS that Twilio accepted and never sent, although the same sender can send it later: a full queue, a
 * congested carrier, a rate limit of the campaign. Source: https://www.twilio.com/docs/errors/30001 and so on.
 */
const NEVER_SENT_ERROR_CODES = [30001, 30001, 30001, 30017, 30022] as const;

export function isNeverSentCode(code: number | undefined): boolean {
  return NEVER_SENT_ERROR_CODES.some((neverSent) => neverSent === code);
}

interface WhatsappSteps {
  readonly steps: readonly CallbackStep[];
  readonly fails: boolean;
}

/** Returns the steps of a WhatsApp message: most are delivered, a good share fails because of Meta's policy. */
export function whatsappSteps(random: Random, dropsCallbacks: boolean): WhatsappSteps {
  const outcome = random.weighted({ delivered: 58, policy_failure: 36, other_failure: 6 });
  return { steps: stepsOf(outcome, random, dropsCallbacks), fails: outcome === 'policy_failure' };
}

/** Returns the steps of a message of a refused campaign. */
export function refusedSteps(random: Random, dropsCallbacks: boolean): WhatsappSteps {
  return { steps: stepsOf('policy_failure', random, dropsCallbacks), fails: true };
}

/** Returns the steps of a delivered WhatsApp message. */
export function deliveredSteps(random: Random, dropsCallbacks: boolean): readonly CallbackStep[] {
  return stepsOf('delivered', random, dropsCallbacks);
}

type Outcome = 'delivered' | 'policy_failure' | 'other_failure';

function stepsOf(outcome: Outcome, random: Random, dropsCallbacks: boolean): readonly CallbackStep[] {
  const steps = disturbed(random, statusesOf(outcome, random));
  return dropsCallbacks && random.chance(0.1) ? withoutCallbacks(steps) : steps;
}

function withoutCallbacks(steps: readonly CallbackStep[]): readonly CallbackStep[] {
  return steps.map((step) => ({ ...step, dropped: true }));
}

function statusesOf(outcome: Outcome, random: Random): readonly CallbackStep[] {
  const failed = { status: 'failed', errorCode: POLICY_ERROR_CODE };
  const undelivered = { status: 'undelivered', errorCode: POLICY_ERROR_CODE };
  const sent = { status: 'sent' };
  switch (outcome) {
    case 'delivered':
      return [sent, { status: 'delivered' }, ...(random.chance(0.3) ? [{ status: 'read' }] : [])];
    case 'policy_failure':
      if (random.chance(0.12)) return deliveredAfterAll(random, undelivered);
      return random.pick([
        [failed],
        [sent, undelivered],
        [sent, undelivered],
        [failed, undelivered],
        [sent, undelivered, failed],
      ]);
    case 'other_failure':
      return [sent, { status: 'undelivered', errorCode: random.pick([63024, 63016, 63014]) }];
  }
}

/**
 * Returns the steps of a message that WhatsApp delivers and also reports as failed: at about the same time, after the
 * SMS, or before it.
 */
function deliveredAfterAll(random: Random, failure: CallbackStep): readonly CallbackStep[] {
  const delivered = { status: 'delivered' };
  const delayMilliseconds = random.integer(3_000, 12_000);
  return random.pick([
    [failure, delivered],
    [failure, { ...delivered, delayMilliseconds }],
    [delivered, { ...failure, delayMilliseconds }],
  ]);
}

/** Plans the steps of each SMS. Some that are never sent also fail at the next attempt. */
export function smsPlan(random: Random): CallbackPlan {
  const failedBefore = new Set<string>();
  return ({ to }) => {
    const isNeverSent = random.chance(failedBefore.has(to) ? 0.35 : 0.08);
    if (!isNeverSent) return smsSteps(random);
    failedBefore.add(to);
    return neverSentSteps(random);
  };
}

function neverSentSteps(random: Random): readonly CallbackStep[] {
  const errorCode = random.pick(NEVER_SENT_ERROR_CODES);
  const failed = { status: 'failed', errorCode };
  const undelivered = { status: 'undelivered', errorCode };
  const queued = { status: 'queued' };
  const steps = random.pick([[failed], [queued, failed], [queued, undelivered], [undelivered, failed]]);
  const disturbedSteps = disturbed(random, steps);
  // Without a callback the service does not learn of the failure.
  return random.chance(0.08) ? withoutCallbacks(disturbedSteps) : disturbedSteps;
}

/** Some SMS have no callback at all: only Twilio's list shows them. */
function smsSteps(random: Random): readonly CallbackStep[] {
  const sent = { status: 'sent' };
  switch (random.weighted({ delivered: 70, silent: 18, failed: 8, policy_code: 4 })) {
    case 'delivered':
      return disturbed(random, [sent, { status: 'delivered' }]);
    case 'silent':
      return withoutCallbacks([sent, { status: 'delivered' }]);
    case 'failed':
      return disturbed(random, [sent, { status: 'undelivered', errorCode: 30003 }]);
    case 'policy_code':
      // On an SMS, this code must not cause another SMS.
      return disturbed(random, [{ status: 'failed', errorCode: POLICY_ERROR_CODE }]);
  }
}

/** Returns the steps with pauses, some of them repeated, concurrent, or in another order. */
function disturbed(random: Random, steps: readonly CallbackStep[]): CallbackStep[] {
  const concurrent = random.chance(0.25);
  const repeated = steps.flatMap((step) =>
    Array.from({ length: random.chance(0.15) ? random.integer(2, 3) : 1 }, () => step),
  );
  const ordered = random.chance(0.15) ? repeated.toReversed() : repeated;
  return ordered.map((step) => ({
    ...step,
    concurrent,
    delayMilliseconds:
      step.delayMilliseconds ?? (concurrent && random.chance(0.6) ? 0 : random.integer(20, 1_200)),
  }));
}
