import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { classifySendError, type SendError } from '../twilio/send-error.js';
import type { SmsFallback } from './sms-fallback.entity.js';
import { type AcceptedSms, type Sms, SmsSender } from './sms-sender.js';

/** `none`: nobody knows of such an SMS at this time. `unknown`: Twilio could not be asked. */
export type Finding =
  | AcceptedSms
  | { readonly outcome: 'none'; readonly problem: null }
  | { readonly outcome: 'unknown'; readonly problem: SendError };

/** Finds an SMS whose sending was not answered. */
@Injectable()
export class SmsFinder {
  constructor(
    private readonly dataSource: DataSource,
    private readonly sender: SmsSender,
  ) {}

  /** A callback of the SMS tells its SID; else Twilio's list does, where it holds an SMS that nobody else has. */
  async find(fallback: SmsFallback, sms: Sms, since: Date): Promise<Finding> {
    const reportedSid = await this.findReportedSid(fallback.id);
    if (reportedSid !== null) return { outcome: 'accepted', messageSid: reportedSid, status: 'accepted' };
    const listed = await this.list(sms, since);
    if (!Array.isArray(listed)) return { outcome: 'unknown', problem: listed };
    const others = await this.findSidsOfOthers(
      fallback.id,
      since,
      listed.map(({ messageSid }) => messageSid),
    );
    return listed.find(({ messageSid }) => !others.has(messageSid)) ?? { outcome: 'none', problem: null };
  }

  private async list(sms: Sms, since: Date): Promise<AcceptedSms[] | SendError> {
    try {
      return await this.sender.findAccepted(sms, since);
    } catch (error) {
      return classifySendError(error);
    }
  }

  /** The SID of the SMS as told by a callback of it, which names its fallback, unless another one has taken it. */
  private async findReportedSid(id: string): Promise<string | null> {
    const [row] = await this.dataSource.query<{ sid: string }[]>(
      `select message_sid as sid from message_events
        where sms_fallback_id = $1
          and not exists (select from sms_fallbacks where sms_message_sid = message_sid and id <> $1)
        order by created_at limit 1`,
      [id],
    );
    return row?.sid ?? null;
  }

  /**
   * Those of the SIDs that are another fallback's, or a message that the application had sent before. A row of
   * `messages` that is younger tells nothing: the application may copy every message of its account there.
   */
  private async findSidsOfOthers(id: string, since: Date, sids: readonly string[]): Promise<Set<string>> {
    const rows = await this.dataSource.query<{ sid: string }[]>(
      `select sms_message_sid as sid from sms_fallbacks where sms_message_sid = any ($3) and id <> $1
       union select message_sid from message_events where message_sid = any ($3) and sms_fallback_id <> $1
       union select twilio_sid from messages where twilio_sid = any ($3) and created_at < $2`,
      [id, since, sids],
    );
    return new Set(rows.map(({ sid }) => sid));
  }
}
