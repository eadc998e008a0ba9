import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { DomainEventPublisher } from '../domain-events/domain-event-publisher.js';
import type { MessageStatusReport } from './message-status-report.js';
import { type WhatsappPolicyFailed, whatsappPolicyFailed } from './whatsapp-policy-failed.event.js';

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
   * Adds the reports that are new, and publishes the policy failures among them in the same transaction. No row of the
   * application is touched: whatever it has locked, the log goes on.
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
    error_code text, error_message text, account_sid text, payload jsonb, source text, sms_fallback_id uuid
  )
),
added as (
  insert into message_events (
    id, message_sid, message_status, channel, to_number, from_number,
    error_code, error_message, account_sid, payload, source, sms_fallback_id
  )
  select
    id, message_sid, message_status, channel, to_number, from_number,
    error_code, error_message, account_sid, payload, source, sms_fallback_id
  from incoming
  order by message_sid, message_status
  on conflict (message_sid, message_status) do nothing
  returning id
)
select id from added`;

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
    source: report.source,
    sms_fallback_id: report.smsFallbackId,
  };
}

function policyFailed({ id, report }: Incoming): WhatsappPolicyFailed {
  return whatsappPolicyFailed(id, report, new Date());
}

function keyOf({
  messageSid,
  messageStatus,
}: Pick<MessageStatusReport, 'messageSid' | 'messageStatus'>): string {
  return `${messageSid}\n${messageStatus}`;
}
