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

/** The known statuses that `status` must not replace: those of the same or a higher rank. */
export function statusesNotReplacedBy(status: string): readonly string[] {
  return STATUSES_BY_RANK.slice(Math.max(0, statusRank(status) - 1));
}
