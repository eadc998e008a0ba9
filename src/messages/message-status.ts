/**
 * The statuses that Twilio reports, in the order of how far the message has come. Callbacks arrive in any order and
 * carry no event time, so the highest rank is the current status. Ranks are unique, so the outcome does not depend on
 * the order of arrival.
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

/** Returns the rank from 1 up; 0 for an unknown status, which never replaces another. */
export function statusRank(status: string): number {
  return STATUSES_BY_RANK.indexOf(status) + 1;
}

/**
 * The statuses after which nothing relevant follows: `read` may follow `delivered`, but the person has the message. An
 * unknown status is not final.
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

/** The statuses that mean that the person has the message. */
export const DELIVERED_STATUSES: readonly string[] = ['delivered', 'read'];
