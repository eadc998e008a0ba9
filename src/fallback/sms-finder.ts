import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { hasApplicationTables } from '../messages/application-tables.js';
import { InjectDatabase } from '../process/inject-database.js';
import { classifySendError, type SendError } from '../twilio/send-error.js';
import { isOfEarlierAttempt } from './fallback.sql.js';
import type { SmsFallback } from './sms-fallback.entity.js';
import { type AcceptedSearch, type AcceptedSms, asSearch, type Sms, SmsSender } from './sms-sender.js';

/**
 * - `none`: neither Twilio nor a callback knows the SMS now.
 * - `hidden`: it may be one of those whose recipient or text Twilio hides, so it must not be sent again.
 * - `unknown`: Twilio could not be asked.
 */
export type Finding =
  | AcceptedSms
  | { readonly outcome: 'none' | 'hidden'; readonly problem: null }
  | { readonly outcome: 'unknown'; readonly problem: SendError };

/** Finds an SMS whose sending was not answered. */
@Injectable()
export class SmsFinder {
  constructor(
    @InjectDatabase() private readonly dataSource: DataSource,
    private readonly sender: SmsSender,
  ) {}

  /** Finds the SID in a callback of the SMS, else in Twilio's list, if that holds an unclaimed SMS. */
  async find(fallback: SmsFallback, sms: Sms, since: Date): Promise<Finding> {
    const reportedSid = await this.findReportedSid(fallback.id);
    if (reportedSid !== null) return { outcome: 'accepted', messageSid: reportedSid, status: 'accepted' };
    const search = await this.search(sms, since);
    if ('outcome' in search) return { outcome: 'unknown', problem: search };
    const { accepted, possible, complete } = search;
    const sids = [...accepted, ...possible].map(({ messageSid }) => messageSid);
    const others = await this.findSidsOfOthers(fallback.id, since, sids);
    const isFree = ({ messageSid }: AcceptedSms) => !others.has(messageSid);
    const isHidden = !complete || possible.some(isFree);
    return accepted.find(isFree) ?? { outcome: isHidden ? 'hidden' : 'none', problem: null };
  }

  private async search(sms: Sms, since: Date): Promise<AcceptedSearch | SendError> {
    try {
      return asSearch(await this.sender.findAccepted(sms, since));
    } catch (error) {
      return classifySendError(error);
    }
  }

  /**
   * Returns the SID from a callback of the SMS, which names its fallback, unless another fallback has taken that SMS.
   */
  private async findReportedSid(id: string): Promise<string | null> {
    const [row] = await this.dataSource.query<{ sid: string }[]>(
      `select message_sid as sid from message_events join sms_fallbacks on sms_fallbacks.id = sms_fallback_id
        where sms_fallback_id = $1 and not ${isOfEarlierAttempt('message_sid')}
          and not exists (
            select from sms_fallbacks as other where other.sms_message_sid = message_sid and other.id <> $1
          )
        order by message_events.created_at limit 1`,
      [id],
    );
    return row?.sid ?? null;
  }

  /**
   * The SIDs that belong to another fallback in this database, to an SMS of this person that is known to have failed,
   * or to a message that the application sent before. A younger row of `messages` proves nothing: the application may
   * copy every message of its account there.
   */
  private async findSidsOfOthers(id: string, since: Date, sids: readonly string[]): Promise<Set<string>> {
    const hasMessages = hasApplicationTables(this.dataSource);
    const rows = await this.dataSource.query<{ sid: string }[]>(
      `select sms_message_sid as sid from sms_fallbacks where sms_message_sid = any ($2) and id <> $1
       union select message_sid from message_events where message_sid = any ($2) and sms_fallback_id <> $1
         and exists (select from sms_fallbacks where id = sms_fallback_id)
       union select earlier->>'smsMessageSid' from sms_fallbacks, jsonb_array_elements(earlier_attempts) as earlier
        where to_number = (select to_number from sms_fallbacks where id = $1)
       ${hasMessages ? 'union select twilio_sid from messages where twilio_sid = any ($2) and created_at < $3' : ''}`,
      hasMessages ? [id, sids, since] : [id, sids],
    );
    return new Set(rows.map(({ sid }) => sid));
  }
}
