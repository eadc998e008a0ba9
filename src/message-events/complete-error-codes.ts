import type { EntityManager } from 'typeorm';
import type { IncomingEvent } from './incoming-event.js';

/**
 * Backfills `error_code` on events stored without one: the code may reach Twilio's answer about a message later than
 * its callback, or the other way round.
 * @param repeats reports of events that are stored.
 * @returns the reports that added the code, with the ids of their events.
 */
export async function completeErrorCodes(
  manager: EntityManager,
  repeats: readonly IncomingEvent[],
): Promise<IncomingEvent[]> {
  const reports = repeats.map(({ report }) => report).filter(({ errorCode }) => errorCode !== null);
  if (reports.length === 0) return [];
  const completed = await manager.query<{ id: string; index: number }[]>(COMPLETE, [
    reports.map(({ messageSid }) => messageSid),
    reports.map(({ messageStatus }) => messageStatus),
    reports.map(({ errorCode }) => errorCode),
    reports.map(({ errorMessage }) => errorMessage),
  ]);
  return completed.flatMap(({ id, index }) => {
    const report = reports[index];
    return report === undefined ? [] : [{ id, report }];
  });
}

/** Updates in key order, like the inserts, so that two replicas cannot deadlock. */
const COMPLETE = `
with reported as (
  select distinct on (message_sid, message_status) *
    from unnest($1::text[], $2::text[], $3::text[], $4::text[]) with ordinality
      as report (message_sid, message_status, error_code, error_message, position)
   order by message_sid, message_status, position
),
incomplete as (
  select id, reported.* from message_events join reported using (message_sid, message_status)
   where message_events.error_code is null
   order by message_sid, message_status
     for update of message_events
),
completed as (
  update message_events set error_code = incomplete.error_code, error_message = incomplete.error_message
    from incomplete where message_events.id = incomplete.id
  returning message_events.id, position
)
select id, position::integer - 1 as index from completed`;
