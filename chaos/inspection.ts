import { setTimeout as delay } from 'node:timers/promises';
import type { ApplicationDatabase } from './application-database.js';
import type { FallbackRow } from './findings.js';
import type { AcknowledgedCallback } from './ledger.js';

const CHUNK = 5_000;

/** The statuses that occur here, lowest first. */
const STATUSES_BY_RANK = ['accepted', 'queued', 'sent', 'failed', 'undelivered', 'delivered', 'read'];

const CONNECTIONS_LIMIT_MILLISECONDS = 5_000;
const FOLLOWING_LIMIT_MILLISECONDS = 120_000;

/** The open work according to the service's own tables. */
export interface OpenWork {
  readonly openFallbacks: number;
  readonly jobs: number;
}

export async function openWork(database: ApplicationDatabase): Promise<OpenWork> {
  const [row] = await database.query<OpenWork & Record<string, unknown>>(
    `select count(*) filter (where state not in ('sent', 'skipped', 'failed'))::int as "openFallbacks",
            (select count(*) from whatsapp_sms_fallback_queue.jobs)::int as jobs
       from sms_fallbacks`,
  );
  if (row === undefined) throw new Error('A count has a row');
  return row;
}

/** Counts these messages without a fallback. */
export async function countWithoutFallback(
  database: ApplicationDatabase,
  messageSids: readonly string[],
): Promise<number> {
  const [row] = await database.query<{ count: number }>(
    `select count(*)::int from unnest($1::text[]) as sid
      where not exists (select from sms_fallbacks where original_message_sid = sid)`,
    [messageSids],
  );
  return row?.count ?? 0;
}

/** Counts those of these never-sent SMS that are still recorded as sent. */
export async function countRecordedAsSent(
  database: ApplicationDatabase,
  neverSentSids: readonly string[],
): Promise<number> {
  const [row] = await database.query<{ count: number }>(
    `select count(*)::int from sms_fallbacks where state = 'sent' and sms_message_sid = any ($1::text[])`,
    [neverSentSids],
  );
  return row?.count ?? 0;
}

/** Finds acknowledged callbacks that are missing in `message_events`. */
export async function findLostCallbacks(
  database: ApplicationDatabase,
  acknowledged: readonly AcknowledgedCallback[],
): Promise<string[]> {
  const lost: string[] = [];
  for (let start = 0; start < acknowledged.length; start += CHUNK) {
    const chunk = acknowledged.slice(start, start + CHUNK);
    const rows = await database.query<{ sid: string; status: string }>(
      `select sid, status from unnest($1::text[], $2::text[]) as acknowledged (sid, status)
        where not exists (select from message_events where message_sid = sid and message_status = status)`,
      [chunk.map(({ messageSid }) => messageSid), chunk.map(({ status }) => status)],
    );
    lost.push(...rows.map(({ sid, status }) => `${status} of ${sid}`));
  }
  return lost;
}

export async function readFallbacks(database: ApplicationDatabase): Promise<FallbackRow[]> {
  return database.query<FallbackRow & Record<string, unknown>>(
    `select id, original_message_sid, state, reason, attempts, sms_message_sid,
            array(
              select attempt->>'smsMessageSid' from jsonb_array_elements(earlier_attempts) as attempt
               where attempt->>'outcome' = 'never_sent'
            ) as never_sent_sids
       from sms_fallbacks`,
  );
}

export async function findJobs(database: ApplicationDatabase): Promise<string[]> {
  const rows = await database.query<{ job: string }>(
    `select concat_ws(' ', id, task_identifier, 'attempts', attempts, 'at', run_at, left(last_error, 120)) as job
       from whatsapp_sms_fallback_queue.jobs`,
  );
  return rows.map(({ job }) => job);
}

/**
 * Finds messages that are still stale after status polling has had its time.
 * @param statusAtTwilio the status of a message in Twilio's own words. A row may be ahead of the log only with that
 * one: an SMS that was found in Twilio's list has the list's status, also if its callback was lost.
 */
export async function findStaleMessages(
  database: ApplicationDatabase,
  statusAtTwilio: (messageSid: string) => string | undefined,
): Promise<string[]> {
  const end = Date.now() + FOLLOWING_LIMIT_MILLISECONDS;
  for (;;) {
    const stale = await readStaleMessages(database, statusAtTwilio);
    if (stale.length === 0 || Date.now() > end) return stale;
    await delay(1_000);
  }
}

/** Reads messages whose status is not the highest of their events. */
async function readStaleMessages(
  database: ApplicationDatabase,
  statusAtTwilio: (messageSid: string) => string | undefined,
): Promise<string[]> {
  const rows = await database.query<{ sid: string; status: string; isAhead: boolean; stale: string }>(
    `select twilio_sid as sid, messages.status,
            array_position($1::text[], messages.status) > max(array_position($1::text[], message_status)) as "isAhead",
            concat_ws(' ', twilio_sid, 'is', messages.status, 'after', string_agg(message_status, ', ')) as stale
       from messages join message_events on message_sid = twilio_sid
      group by messages.id, twilio_sid, messages.status
     having array_position($1::text[], messages.status) <> max(array_position($1::text[], message_status))`,
    [STATUSES_BY_RANK],
  );
  return rows
    .filter(({ sid, status, isAhead }) => !isAhead || statusAtTwilio(sid) !== status)
    .map(({ stale }) => stale);
}

/** Finds sent fallbacks without a row in `messages` for the SMS, or without the link of their event. */
export async function findUnlinkedSms(database: ApplicationDatabase): Promise<string[]> {
  const rows = await database.query<{ sid: string }>(
    `select original_message_sid as sid from sms_fallbacks
      where state = 'sent'
        and not exists (
          select from message_events
           where message_sid = original_message_sid and fallback_sms_message_id = sms_fallbacks.message_id
        )`,
  );
  return rows.map(({ sid }) => sid);
}

/** Finds connections of the service. Those of an ended process take a moment to close. */
export async function findConnections(database: ApplicationDatabase, allowed: number): Promise<string[]> {
  const end = Date.now() + CONNECTIONS_LIMIT_MILLISECONDS;
  for (;;) {
    const rows = await database.query<{ connection: string }>(
      `select concat_ws(' ', pid, application_name, state, state_change) as connection
         from pg_stat_activity where backend_type = 'client backend' and usename = 'postgres' and application_name <> 'chaos'`,
    );
    if (rows.length <= allowed) return [];
    if (Date.now() > end) return rows.map(({ connection }) => connection);
    await delay(100);
  }
}
