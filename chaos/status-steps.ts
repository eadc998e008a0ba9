import type { CallbackStep } from '../simulator/callback-plan.js';
import type { Random } from './random.js';

/** Meta's policy kept the message from its recipient. */
export const POLICY_ERROR_CODE = 63049;

interface WhatsappSteps {
  readonly steps: readonly CallbackStep[];
  readonly fails: boolean;
}

/** What becomes of a WhatsApp message: most are delivered, a good share fails because of Meta's policy. */
export function whatsappSteps(random: Random, dropsCallbacks: boolean): WhatsappSteps {
  const outcome = random.weighted({ delivered: 58, policy_failure: 36, other_failure: 6 });
  const steps = disturbed(random, statusesOf(outcome, random));
  const isDropped = dropsCallbacks && random.chance(0.1);
  return {
    steps: isDropped ? steps.map((step) => ({ ...step, dropped: true })) : steps,
    fails: outcome === 'policy_failure',
  };
}

function statusesOf(
  outcome: 'delivered' | 'policy_failure' | 'other_failure',
  random: Random,
): readonly CallbackStep[] {
  const failed = { status: 'failed', errorCode: POLICY_ERROR_CODE };
  const undelivered = { status: 'undelivered', errorCode: POLICY_ERROR_CODE };
  const sent = { status: 'sent' };
  switch (outcome) {
    case 'delivered':
      return [sent, { status: 'delivered' }, ...(random.chance(0.3) ? [{ status: 'read' }] : [])];
    case 'policy_failure':
      return random.pick([
        [failed],
        [sent, undelivered],
        [sent, undelivered],
        [failed, undelivered],
        [sent, undelivered, failed],
        // WhatsApp delivers after all.
        ...(random.chance(0.2) ? [[undelivered, { status: 'delivered' }]] : []),
      ]);
    case 'other_failure':
      return [sent, { status: 'undelivered', errorCode: random.pick([63024, 63016, 63014]) }];
  }
}

/** What becomes of an SMS. Some have no callback at all: only Twilio's list tells of them. */
export function smsSteps(random: Random): readonly CallbackStep[] {
  const sent = { status: 'sent' };
  switch (random.weighted({ delivered: 70, silent: 18, failed: 8, policy_code: 4 })) {
    case 'delivered':
      return disturbed(random, [sent, { status: 'delivered' }]);
    case 'silent':
      return [sent, { status: 'delivered' }].map((step) => ({ ...step, dropped: true }));
    case 'failed':
      return disturbed(random, [sent, { status: 'undelivered', errorCode: 30003 }]);
    case 'policy_code':
      // On an SMS it must not lead to another one.
      return disturbed(random, [{ status: 'failed', errorCode: POLICY_ERROR_CODE }]);
  }
}

/** The steps with pauses, some of them repeated, at once, or in another order. */
function disturbed(random: Random, steps: readonly CallbackStep[]): CallbackStep[] {
  const concurrent = random.chance(0.25);
  const repeated = steps.flatMap((step) =>
    Array.from({ length: random.chance(0.15) ? random.integer(2, 3) : 1 }, () => step),
  );
  const ordered = random.chance(0.15) ? repeated.toReversed() : repeated;
  return ordered.map((step) => ({
    ...step,
    concurrent,
    delayMilliseconds: concurrent && random.chance(0.6) ? 0 : random.integer(20, 1_200),
  }));
}
