/**
 * - `claimed`: there is work to do, at `nextAttemptAt`;
 * - `sending`: the intent to send is committed, so the SMS may be on its way;
 * - `uncertain`: Twilio's answer was lost, and the service is finding out whether the SMS was accepted.
 */
const OPEN_STATES = ['claimed', 'sending', 'uncertain'] as const;

const END_STATES = ['sent', 'skipped', 'failed'] as const;

export const SMS_FALLBACK_STATES = [...OPEN_STATES, ...END_STATES] as const;

export type SmsFallbackState = (typeof SMS_FALLBACK_STATES)[number];

export function isOpen(state: SmsFallbackState): boolean {
  return OPEN_STATES.some((open) => open === state);
}

/** SQL: whether a row of `sms_fallbacks` is in one of its known states. */
export const IS_KNOWN_STATE = isOneOf(SMS_FALLBACK_STATES);

/** SQL: whether it is open. This is the condition of sms_fallbacks_open_idx, which has few rows. */
export const IS_OPEN = isOneOf(OPEN_STATES);

/**
 * SQL: whether an open row is overdue, so that somebody should look at it. Its age counts, not its next attempt, which
 * each retry moves. Deliberate waits (`due_since`) do not count; a wait that Twilio asks for does.
 */
export const IS_OVERDUE = `greatest(created_at, retried_at, due_since) < now() - interval '15 minutes'`;

/** SQL: whether it has ended. */
export const IS_ENDED = isOneOf(END_STATES);

function isOneOf(states: readonly SmsFallbackState[]): string {
  return `state in (${states.map((state) => `'${state}'`).join(', ')})`;
}
