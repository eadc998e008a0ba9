import { statusRank } from '../messages/message-status.js';
import type { EventRow } from './event-view.js';

/**
 * Sorts a message's events by rank, i.e. in the order in which the statuses occurred, whatever the order of the
 * callbacks. An unknown status has no rank and stays behind the events stored before it.
 */
export function inTrueOrder<Event extends Pick<EventRow, 'messageStatus' | 'createdAt'>>(
  events: readonly Event[],
): Event[] {
  const stored = events.toSorted((one, other) => one.createdAt.getTime() - other.createdAt.getTime());
  const known = stored.filter(({ messageStatus }) => statusRank(messageStatus) > 0);
  known.sort((one, other) => statusRank(one.messageStatus) - statusRank(other.messageStatus));
  const ordered = [...known];
  for (const unknown of stored.filter(({ messageStatus }) => statusRank(messageStatus) === 0)) {
    const before = ordered.findLastIndex(({ createdAt }) => createdAt <= unknown.createdAt);
    ordered.splice(before + 1, 0, unknown);
  }
  return ordered;
}

/** Returns the highest status by rank; if no status is known, the one stored last. Null without an event. */
export function currentStatus(
  events: readonly Pick<EventRow, 'messageStatus' | 'createdAt'>[],
): string | null {
  const ordered = inTrueOrder(events);
  const known = ordered.findLast(({ messageStatus }) => statusRank(messageStatus) > 0);
  return (known ?? ordered.at(-1))?.messageStatus ?? null;
}
