import type { WhatsappPolicyFailed } from '../message-events/policy-failure.js';
import type { OriginalMessage } from '../messages/original-messages.js';

/** What a policy decides about a WhatsApp message that was not delivered. */
export type PolicyDecision =
  | { readonly kind: 'send' }
  | { readonly kind: 'skip'; readonly reason: string }
  | { readonly kind: 'wait'; readonly until: Date };

/** The SMS is sent now. */
export const send: PolicyDecision = { kind: 'send' };

/**
 * No SMS is sent.
 * @param reason is kept in the row: 1 to 64 lower-case letters, digits, and underscores, e.g. `never_at_night`.
 */
export function skip(reason: string): PolicyDecision {
  return { kind: 'skip', reason };
}

/** The policy is asked again at this time. What is too old by then is skipped. */
export function at(until: Date): PolicyDecision {
  return { kind: 'wait', until };
}

/**
 * Port that decides whether and when a policy failure leads to an SMS. Default: always, and at once. It is asked before
 * each attempt, so its answer must depend on its arguments and the time only. If it throws, it is asked again later.
 * Its conformance suite is testing/fallback-policy-conformance.ts.
 */
export abstract class FallbackPolicy {
  /**
   * @param event the failure, whose error code is one of those that count as policy failures.
   * @param original what the application, or Twilio, knows of the message.
   */
  abstract decide(
    event: WhatsappPolicyFailed,
    original: OriginalMessage,
  ): PolicyDecision | Promise<PolicyDecision>;
}

/** A reason of a policy, which is checked. */
export type PolicyReason = string & { readonly isChecked: true };

/** @throws TypeError for a reason that the row, the metrics, and the API could not keep. */
export function checkReason(reason: string): PolicyReason {
  if (!/^[a-z0-9_]{1,64}$/.test(reason)) {
    throw new TypeError(
      `The reason of a FallbackPolicy must have 1 to 64 lower-case letters, digits, and underscores: ${JSON.stringify(reason)}`,
    );
  }
  return reason as PolicyReason;
}
