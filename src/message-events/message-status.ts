/**
 * The statuses that Twilio reports, in the order of how far the message has come. Callbacks arrive in no order, and
 * there is no event time in them, so the highest rank is the current status. No two ranks are the same: whatever the
 * order of arrival, the outcome is one.
 *
 * `delivered` outranks `failed`, because a message of several segments can report both.
 * Source of the statuses: Twilio's OpenAPI document api_v2010, message_enum_status.
 */
export const STATUSES_BY_RANK: readonly string[] = [
  'accepted',
  'scheduled',
  'queued',
  'sending',
  'receiving',
  'sent',
  'canceled',
  'failed',
  'undelivered',
  'partially_delivered',
  'received',
  'delivered',
  'read',
];

/** From 1 up; 0 for a status that is not known, which replaces no other. */
export function statusRank(status: string): number {
  return STATUSES_BY_RANK.indexOf(status) + 1;
}

/**
 * The statuses that a message stays at, or that nothing which matters follows: `read` may follow `delivered`, but the
 * person has the message. An unknown status is none of them.
 */
export const FINAL_STATUSES: readonly string[] = [
  'canceled',
  'failed',
  'undelivered',
  'received',
  'delivered',
  'read',
];

export function isFinal(status: string): boolean {
  return FINAL_STATUSES.includes(status);
}

/** The statuses with which the person has the message. */
export const DELIVERED_STATUSES: readonly string[] = ['delivered', 'read'];
