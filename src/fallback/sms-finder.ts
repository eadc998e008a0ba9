import { Injectable } from '@nestjs/common';
import { classifySendError, type SendError } from '../twilio/send-error.js';
import { FallbackStore, type LockedFallback } from './fallback.store.js';
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
    private readonly store: FallbackStore,
    private readonly sender: SmsSender,
  ) {}

  /** A callback of the SMS tells its SID; else Twilio's list does, where it holds an SMS that nobody else has. */
  async find(fallback: LockedFallback, sms: Sms, since: Date): Promise<Finding> {
    const reportedSid = await this.store.findReportedSid(fallback.id);
    if (reportedSid !== null) return { outcome: 'accepted', messageSid: reportedSid, status: 'accepted' };
    const listed = await this.list(sms, since);
    if (!Array.isArray(listed)) return { outcome: 'unknown', problem: listed };
    const others = await this.store.findSidsOfOthers(
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
}
