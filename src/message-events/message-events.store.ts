import { Injectable } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import { DataSource, type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { addJobs, type DomainEventJob, DomainEventPublisher } from '../domain-events/domain-events.js';
import { InjectDatabase } from '../process/inject-database.js';
import { stringifyExactly } from './exact-json.js';
import { isNeverSentSms, type MessageStatusReport, type SmsNeverSent } from './message-status-report.js';
import { whatsappPolicyFailed } from './policy-failure.js';

/** A report with the id that its event gets, unless it is a repeat. */
export interface IncomingEvent {
  readonly id: string;
  readonly report: MessageStatusReport;
}

/** The length of a UUID. */
const BYTES = 16;

/**
 * Gives reports that are stored together their ids: UUIDs of version 7, which sort in the reports' order. All random
 * bytes are drawn at once, since one draw of any size takes five times as long as the rest of the work for an id.
 */
export function incomingEvents(reports: readonly MessageStatusReport[]): IncomingEvent[] {
  const random = randomBytes(BYTES * reports.length + BYTES);
  const msecs = Date.now();
  // Half of the sequence's range, so that it does not overflow.
  const sequence = random.readUInt32BE(BYTES * reports.length) >>> 1;
  return reports.map((report, index) => ({
    id: uuidv7({
      msecs,
      seq: sequence + index,
      random: random.subarray(BYTES * index, BYTES * index + BYTES),
    }),
    report,
  }));
}

/** The row of an SMS in `messages`, and the event that caused it. */
export interface SmsLink {
  readonly eventId: string;
  /** `messages.id` */
  readonly messageId: string;
}

/** Which reports are published, and as what. */
export interface PublishingRules {
  readonly isPolicyFailure: (report: MessageStatusReport) => boolean;
  readonly isWatched: (report: MessageStatusReport) => boolean;
}

export interface RecordedEvent {
  /** `message_events.id`. */
  readonly id: string;
  /** True if this status of this message was already known; then nothing was added. */
  readonly repeated: boolean;
}

/** Adds the rows of `message_events` and, with them, those of `message_event_outbox`. */
@Injectable()
export class MessageEventsStore {
  constructor(
    @InjectDatabase() private readonly dataSource: DataSource,
    private readonly publisher: DomainEventPublisher,
  ) {}

  /**
   * Adds the new reports and publishes the policy failures among them in the same transaction; a failure that was first
   * reported without its ErrorCode counts as new. SMS that were never sent are published likewise. Nothing of the
   * application is touched: the follower brings `messages` up to date.
   * @returns a result for each report, in their order.
   */
  async record(reports: readonly MessageStatusReport[], rules: PublishingRules): Promise<RecordedEvent[]> {
    const incoming = incomingEvents(reports);
    const added = await insert(this.dataSource.manager, incoming, (item) => jobsOf(item, rules));
    const repeats = incoming.filter(({ id }) => !added.has(id));
    if (repeats.some(({ report }) => report.errorCode !== null)) await this.complete(repeats, rules);
    const repeated = repeats.map(({ report }) => report);
    const known = repeated.length > 0 ? await this.findIds(repeated) : new Map<string, string>();
    return incoming.map(({ id, report }) => ({
      id: added.has(id) ? id : (known.get(keyOf(report)) ?? id),
      repeated: !added.has(id),
    }));
  }

  /** Records a policy failure of a made-up message and rolls it back. @throws the error that prevents recording. */
  async rehearse(): Promise<void> {
    const takenBack = new Error('rehearsed');
    try {
      await this.dataSource.transaction(async (manager) => {
        const incoming = incomingEvents([rehearsedReport()]);
        await insert(manager, incoming, (event) => [policyFailed(event)], REHEARSED);
        throw takenBack;
      });
    } catch (error) {
      if (error !== takenBack) throw error;
    }
  }

  /** Lets the follower look at messages again, after the commit of a transaction. */
  async followAgain(messageSids: readonly string[], manager = this.dataSource.manager): Promise<void> {
    if (messageSids.length === 0) return;
    await manager.query(followAgain('select unnest($1::text[]) as sid'), [messageSids]);
  }

  /** Notes on events that caused an SMS the row of that SMS in `messages`. */
  async linkSms(manager: EntityManager, links: readonly SmsLink[]): Promise<void> {
    const rows = links.map(({ eventId, messageId }) => ({ id: eventId, fallback_sms_message_id: messageId }));
    await manager.query(LINK_SMS, [JSON.stringify(rows)]);
  }

  /** Adds missing error codes. What becomes a policy failure by that is published. */
  private async complete(
    repeats: readonly IncomingEvent[],
    { isPolicyFailure, isWatched }: PublishingRules,
  ): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      const completed = await completeErrorCodes(manager, repeats);
      await this.followAgain(
        completed.map(({ report }) => report.messageSid),
        manager,
      );
      const failures = completed.filter(({ report }) => isPolicyFailure(report));
      await this.publisher.publish(
        manager,
        'whatsapp.policy_failed',
        failures.map((failure) => policyFailed(failure).event),
      );
      await this.publisher.publish(
        manager,
        'sms.never_sent',
        completed.flatMap((event) => smsNeverSent(event)?.event ?? []),
      );
      await this.publisher.publish(
        manager,
        'message.status_recorded',
        completed.filter(({ report }) => isWatched(report)).map((event) => statusRecorded(event).event),
      );
    });
  }

  private async findIds(reports: readonly MessageStatusReport[]): Promise<Map<string, string>> {
    const rows = await this.dataSource.query<EventRow[]>(
      `select id, message_sid, message_status from message_events
        where (message_sid, message_status) in (select * from unnest($1::text[], $2::text[]))`,
      [reports.map(({ messageSid }) => messageSid), reports.map(({ messageStatus }) => messageStatus)],
    );
    return new Map(
      rows.map((row) => [keyOf({ messageSid: row.message_sid, messageStatus: row.message_status }), row.id]),
    );
  }
}

function rehearsedReport(): MessageStatusReport {
  return {
    messageSid: `SM${randomBytes(16).toString('hex')}`,
    messageStatus: 'failed',
    channel: 'whatsapp',
    toNumber: null,
    fromNumber: null,
    errorCode: null,
    errorMessage: null,
    accountSid: 'AC00000000000000000000000000000000',
    payload: {},
    source: 'callback',
    smsFallbackId: null,
    callbackUrl: null,
  };
}

/** SQL that lets the follower look at messages again. @param messages a query for their SIDs, a column named `sid`. */
export function followAgain(messages: string): string {
  return `insert into message_event_outbox (message_sid, counted) select sid, true from (${messages}) as message`;
}

interface EventRow {
  readonly id: string;
  readonly message_sid: string;
  readonly message_status: string;
}

interface InsertRow {
  /** Nearly always true. Then `added` is left out, because the ids are known. */
  readonly all_are_new: boolean;
  readonly added: string[] | null;
}

const COLUMNS = `
  id uuid, message_sid text, message_status text, channel text, to_number text, from_number text, user_id text,
  parent_user_id text, error_code text, error_message text, account_sid text, payload jsonb, source text,
  sms_fallback_id uuid`;

/**
 * Adds events and their rows in the outbox, in one statement and so in one commit. In the order of their keys, so that
 * two replicas with the same keys cannot block each other; a callback that comes twice at once waits for its twin's
 * commit. Connections prepare it (src/whatsapp-sms-fallback.module.ts): planning took longer than writing.
 */
const insertEvents = (report: string) => `
added as (
  insert into message_events (
    id, message_sid, message_status, channel, to_number, from_number, user_id, parent_user_id,
    error_code, error_message, account_sid, payload, source, sms_fallback_id
  )
  select id, message_sid, message_status, channel, to_number, from_number, user_id, parent_user_id,
         error_code, error_message, account_sid, payload, source, sms_fallback_id
    from ${report}
   order by message_sid, message_status
  on conflict (message_sid, message_status) do nothing
  returning id, message_sid
),
queued as (
  insert into message_event_outbox (id, message_sid) select id, message_sid from added
)`;

const RESULT = `
select count(*) = $2::integer as all_are_new, case when count(*) <> $2 then array_agg(id) end as added`;

/** $1: an array of objects with these columns; $2: how many. */
export const RECORD_MESSAGE_EVENTS = `
with ${insertEvents(`jsonb_to_recordset($1::jsonb) as report (${COLUMNS})`)}
${RESULT} from added`;

/** The same, with the jobs of each event that are added if it is new. At least one must have some. */
export const RECORD_AND_PUBLISH = `
with report as materialized (select * from jsonb_to_recordset($1::jsonb) as report (${COLUMNS}, jobs json)),
${insertEvents('report')},
published as materialized (
  select job from report join added using (id) cross join lateral json_array_elements(jobs) as job
)
${RESULT},
       case when exists (select from published) then (${addJobs('select job from published')}) end as jobs
  from added`;

/** Makes another statement of it, which is never prepared: if connections share a session, it would exist already. */
const REHEARSED = ' -- rehearsed';

/** The type of `messages.id` is the application's, and that of the column is the same. */
const LINK_SMS = `
update message_events set fallback_sms_message_id = link.fallback_sms_message_id
  from jsonb_populate_recordset(null::message_events, $1::jsonb) as link
 where message_events.id = link.id`;

/** @returns the ids of those that are new; the others were known already. */
async function insert(
  manager: EntityManager,
  incoming: readonly IncomingEvent[],
  jobsOf: (event: IncomingEvent) => DomainEventJob[],
  suffix = '',
): Promise<ReadonlySet<string>> {
  const jobs = incoming.map(jobsOf);
  const hasJobs = jobs.some(({ length }) => length > 0);
  const rows = incoming.map((event, index) =>
    hasJobs ? { ...toRow(event), jobs: jobs[index] } : toRow(event),
  );
  const statement = hasJobs ? RECORD_AND_PUBLISH : RECORD_MESSAGE_EVENTS;
  const parameters = [stringifyExactly(rows), incoming.length];
  const [row] = await manager.query<InsertRow[]>(statement + suffix, parameters);
  return new Set(row?.all_are_new === true ? incoming.map(({ id }) => id) : row?.added);
}

function toRow({ id, report }: IncomingEvent) {
  return {
    id,
    message_sid: report.messageSid,
    message_status: report.messageStatus,
    channel: report.channel,
    to_number: report.toNumber,
    from_number: report.fromNumber,
    user_id: report.userId,
    parent_user_id: report.parentUserId,
    error_code: report.errorCode,
    error_message: report.errorMessage,
    account_sid: report.accountSid,
    payload: report.payload,
    source: report.source,
    sms_fallback_id: report.smsFallbackId,
  };
}

function jobsOf(event: IncomingEvent, { isPolicyFailure, isWatched }: PublishingRules): DomainEventJob[] {
  const { report } = event;
  const own = isPolicyFailure(report) ? policyFailed(event) : smsNeverSent(event);
  return [...(own === null ? [] : [own]), ...(isWatched(report) ? [statusRecorded(event)] : [])];
}

function statusRecorded({ id, report }: IncomingEvent) {
  const { messageSid, messageStatus, channel, accountSid, toNumber, errorCode, errorMessage } = report;
  const status = { messageSid, messageStatus, channel, accountSid, toNumber, errorCode, errorMessage };
  const event = { id, occurredAt: new Date().toISOString(), messageEventId: id, ...status };
  return { name: 'message.status_recorded', event } as const;
}

function policyFailed({ id, report }: IncomingEvent) {
  return { name: 'whatsapp.policy_failed', event: whatsappPolicyFailed(id, report, new Date()) } as const;
}

function smsNeverSent({ id, report }: IncomingEvent) {
  const { smsFallbackId, messageSid } = report;
  if (smsFallbackId === null || !isNeverSentSms(report)) return null;
  const event: SmsNeverSent = { id, occurredAt: new Date().toISOString(), smsFallbackId, messageSid };
  return { name: 'sms.never_sent', event } as const;
}

function keyOf({
  messageSid,
  messageStatus,
}: Pick<MessageStatusReport, 'messageSid' | 'messageStatus'>): string {
  return `${messageSid}\n${messageStatus}`;
}

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

/**
 * Returns the statement that erases a person from events. It keeps the sender, which is the company's.
 * @param found a query for ids, which locks their rows.
 */
export function eraseEvents(found: string): string {
  return `
with found as (
  ${found.trim()}
),
erased as (
  update message_events
     set to_number = null, user_id = null, parent_user_id = null, error_message = null, payload = '{"erased": true}'
    from found where message_events.id = found.id
  returning found.id
)
select count(*)::int as rows from erased`;
}

/** Returns the statement that deletes events. @param found a query for ids, which locks their rows. */
export function deleteEvents(found: string): string {
  return `
with found as (
  ${found.trim()}
),
deleted as (
  delete from message_events using found where message_events.id = found.id returning found.id
)
select count(*)::int as rows from deleted`;
}
