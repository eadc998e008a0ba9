import { Injectable } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import { DataSource, type EntityManager } from 'typeorm';
import { DomainEventPublisher } from '../domain-events/domain-event-publisher.js';
import { completeErrorCodes } from './complete-error-codes.js';
import { type IncomingEvent, incomingEvents } from './incoming-event.js';
import { isNeverSentSms, type SmsNeverSent } from './never-sent.js';
import type { MessageStatusReport } from './message-status-report.js';
import { recordMessageEvents, type Recording } from './record-message-events.js';
import { type WhatsappPolicyFailed, whatsappPolicyFailed } from './whatsapp-policy-failed.event.js';

export interface RecordedEvent {
  /** `message_events.id`. */
  readonly id: string;
  /** True if this status of this message was already known; then nothing was added. */
  readonly repeated: boolean;
}

export interface StoredEvent extends RecordedEvent {
  /** Whether the message's row in `messages` could not be updated, e.g. because the application has it locked. */
  readonly unlinked: boolean;
}

/** The SQL of `message_events`. */
@Injectable()
export class MessageEventsStore {
  constructor(
    private readonly dataSource: DataSource,
    private readonly publisher: DomainEventPublisher,
  ) {}

  /**
   * Adds the new reports and publishes the policy failures among them in the same transaction; a failure that was first
   * reported without its ErrorCode counts as new. SMS that were never sent are published likewise. The unlocked rows of
   * `messages` are updated in it too; a failure there never affects the log.
   * @returns a result for each report, in their order.
   */
  async record(
    reports: readonly MessageStatusReport[],
    isPolicyFailure: (report: MessageStatusReport) => boolean,
  ): Promise<StoredEvent[]> {
    const incoming = incomingEvents(reports);
    const write = (manager: EntityManager) => this.write(manager, incoming, isPolicyFailure);
    // A single statement is its own transaction; BEGIN and COMMIT would cost two more round trips.
    const { added, unlinked } = reports.some((report) => isPolicyFailure(report) || isNeverSentSms(report))
      ? await this.dataSource.transaction(write)
      : await write(this.dataSource.manager);
    const repeated = incoming.filter(({ id }) => !added.has(id)).map(({ report }) => report);
    const known = repeated.length > 0 ? await this.findIds(repeated) : new Map<string, string>();
    return incoming.map(({ id, report }) => ({
      id: added.has(id) ? id : (known.get(keyOf(report)) ?? id),
      repeated: !added.has(id),
      unlinked: unlinked.has(report.messageSid),
    }));
  }

  /** Records a policy failure of a made-up message and rolls it back. @throws the error that prevents recording. */
  async rehearse(): Promise<void> {
    const takenBack = new Error('rehearsed');
    try {
      await this.dataSource.transaction(async (manager) => {
        const incoming = incomingEvents([rehearsedReport()]);
        await record(manager, incoming, true);
        await this.publisher.publish(manager, 'whatsapp.policy_failed', incoming.map(policyFailed));
        throw takenBack;
      });
    } catch (error) {
      if (error !== takenBack) throw error;
    }
  }

  private async write(
    manager: EntityManager,
    incoming: readonly IncomingEvent[],
    isPolicyFailure: (report: MessageStatusReport) => boolean,
  ): Promise<Recording> {
    const recording = await record(manager, incoming);
    const added = incoming.filter(({ id }) => recording.added.has(id));
    const repeated = incoming.filter(({ id }) => !recording.added.has(id));
    const completed = await completeErrorCodes(manager, repeated);
    const news = [...added, ...completed];
    const failures = news.filter(({ report }) => isPolicyFailure(report));
    if (failures.length > 0) {
      await this.publisher.publish(manager, 'whatsapp.policy_failed', failures.map(policyFailed));
    }
    const neverSent = news.flatMap(smsNeverSent);
    if (neverSent.length > 0) await this.publisher.publish(manager, 'sms.never_sent', neverSent);
    return recording;
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

interface EventRow {
  readonly id: string;
  readonly message_sid: string;
  readonly message_status: string;
}

function record(
  manager: EntityManager,
  incoming: readonly IncomingEvent[],
  isRehearsal = false,
): Promise<Recording> {
  const messageSids = new Set(incoming.map(({ report }) => report.messageSid));
  return recordMessageEvents(manager, incoming.map(toRow), messageSids, isRehearsal);
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

function policyFailed({ id, report }: IncomingEvent): WhatsappPolicyFailed {
  return whatsappPolicyFailed(id, report, new Date());
}

function smsNeverSent({ id, report }: IncomingEvent): SmsNeverSent[] {
  const { smsFallbackId, messageSid } = report;
  if (smsFallbackId === null || !isNeverSentSms(report)) return [];
  return [{ id, occurredAt: new Date().toISOString(), smsFallbackId, messageSid }];
}

function keyOf({
  messageSid,
  messageStatus,
}: Pick<MessageStatusReport, 'messageSid' | 'messageStatus'>): string {
  return `${messageSid}\n${messageStatus}`;
}
