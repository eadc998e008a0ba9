import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { DomainEventPublisher } from '../domain-events/domain-event-publisher.js';
import type { MessageStatusReport } from './message-status-report.js';
import { STATUSES_BY_RANK, statusesNotReplacedBy, statusRank } from './message-status.js';
import type { WhatsappPolicyFailed } from './whatsapp-policy-failed.event.js';

export interface RecordedEvent {
  /** `message_events.id`. */
  readonly id: string;
  /** True when this status of this message was known already; nothing was added then. */
  readonly repeated: boolean;
}

interface EventRow {
  id: string;
  message_sid: string;
  message_status: string;
}

/** The SQL of `message_events`. */
@Injectable()
export class MessageEventsStore {
  constructor(
    private readonly dataSource: DataSource,
    private readonly publisher: DomainEventPublisher,
  ) {}

  /**
   * Adds the reports that are new, lets `messages.status` follow them, and publishes the policy failures among them,
   * all in one transaction.
   * @returns a result for each report, in their order.
   */
  async record(
    reports: readonly MessageStatusReport[],
    isPolicyFailure: (report: MessageStatusReport) => boolean,
  ): Promise<RecordedEvent[]> {
    const incoming = reports.map((report) => ({ id: uuidv7(), report }));
    // A statement is a transaction of its own; BEGIN and COMMIT would cost two round trips more.
    const added = reports.some(isPolicyFailure)
      ? await this.dataSource.transaction(async (manager) => {
          const ids = await insert(manager, incoming);
          const failures = incoming.filter(({ id, report }) => ids.has(id) && isPolicyFailure(report));
          await this.publisher.publish(manager, 'whatsapp.policy_failed', failures.map(policyFailed));
          return ids;
        })
      : await insert(this.dataSource.manager, incoming);
    const repeated = incoming.filter(({ id }) => !added.has(id)).map(({ report }) => report);
    const known = repeated.length > 0 ? await this.findIds(repeated) : new Map<string, string>();
    return incoming.map(({ id, report }) =>
      added.has(id) ? { id, repeated: false } : { id: known.get(keyOf(report)) ?? id, repeated: true },
    );
  }

  /**
   * Ties a row of `messages` that came after its callbacks to them: `message_events.message_id`, and its status.
   * @param manager of the transaction in which the row was added or found.
   */
  async linkMessage(manager: EntityManager, messageSid: string): Promise<void> {
    await manager.query(LINK_MESSAGE, [messageSid, STATUSES_BY_RANK]);
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

interface Incoming {
  readonly id: string;
  readonly report: MessageStatusReport;
}

/** @returns the ids that were added; the others were repeats. */
async function insert(manager: EntityManager, incoming: readonly Incoming[]): Promise<Set<string>> {
  const rows = await manager.query<EventRow[]>(INSERT_EVENTS, [JSON.stringify(incoming.map(toRow))]);
  return new Set(rows.map(({ id }) => id));
}

/** Rows are written in the order of their keys, so that two replicas with the same keys cannot block each other. */
const INSERT_EVENTS = `
with incoming as (
  select * from jsonb_to_recordset($1::jsonb) as incoming (
    id uuid, message_sid text, message_status text, channel text, to_number text, from_number text,
    error_code text, error_message text, account_sid text, payload jsonb, sms_fallback_id uuid,
    rank integer, not_replaced text[]
  )
),
added as (
  insert into message_events (
    id, message_sid, message_status, channel, to_number, from_number,
    error_code, error_message, account_sid, payload, sms_fallback_id, message_id
  )
  select
    incoming.id, message_sid, message_status, incoming.channel, to_number, from_number,
    error_code, error_message, account_sid, payload, sms_fallback_id, messages.id
  from incoming left join messages on messages.twilio_sid = incoming.message_sid
  order by message_sid, message_status
  on conflict (message_sid, message_status) do nothing
  returning id
),
newest as (
  select distinct on (message_sid) message_sid, message_status, not_replaced
  from incoming where id in (select id from added)
  order by message_sid, rank desc
),
followed as (
  update messages set status = newest.message_status
  from newest
  where messages.twilio_sid = newest.message_sid and (messages.status = any (newest.not_replaced)) is not true
)
select id from added`;

const LINK_MESSAGE = `
with message as (
  select id from messages where twilio_sid = $1
),
linked as (
  update message_events set message_id = message.id
  from message
  where message_sid = $1 and message_id is null
),
newest as (
  select message_status, array_position($2::text[], message_status) as rank
  from message_events
  where message_sid = $1
  order by rank desc nulls last
  limit 1
)
update messages set status = newest.message_status
from newest
where twilio_sid = $1 and newest.rank > coalesce(array_position($2::text[], messages.status), 0)`;

function toRow({ id, report }: Incoming) {
  return {
    id,
    message_sid: report.messageSid,
    message_status: report.messageStatus,
    channel: report.channel,
    to_number: report.toNumber,
    from_number: report.fromNumber,
    error_code: report.errorCode,
    error_message: report.errorMessage,
    account_sid: report.accountSid,
    payload: report.payload,
    sms_fallback_id: report.smsFallbackId,
    rank: statusRank(report.messageStatus),
    not_replaced: statusesNotReplacedBy(report.messageStatus),
  };
}

function policyFailed({ id, report }: Incoming): WhatsappPolicyFailed {
  const { messageSid, accountSid, messageStatus, errorCode, toNumber, callbackUrl } = report;
  return {
    id,
    occurredAt: new Date().toISOString(),
    messageEventId: id,
    messageSid,
    accountSid,
    messageStatus,
    errorCode: errorCode ?? '',
    toNumber,
    callbackUrl,
  };
}

function keyOf({
  messageSid,
  messageStatus,
}: Pick<MessageStatusReport, 'messageSid' | 'messageStatus'>): string {
  return `${messageSid}\n${messageStatus}`;
}
