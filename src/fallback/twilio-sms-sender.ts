import { Inject, Injectable } from '@nestjs/common';
import type { MessageInstance } from 'twilio/lib/rest/api/v2010/account/message.js';
import { classifySendError } from '../twilio/send-error.js';
import { TwilioAccounts } from '../twilio/twilio-accounts.js';
import { type FallbackModuleOptions, MODULE_OPTIONS_TOKEN } from './fallback.module-definition.js';
import { type AcceptedSms, type SendResult, type Sms, SmsSender } from './sms-sender.js';

/** Twilio keeps an SMS that cannot be delivered for 10 hours by default; an SMS that late is worse than none. */
const VALIDITY_PERIOD_SECONDS = 4 * 60 * 60;

/** How far Twilio's clock may be behind ours. */
const CLOCK_SKEW_MILLISECONDS = 60_000;

/** Messages to one person that are looked through; they come the newest first. */
const LISTED_MESSAGES = 200;

/** Sends through Twilio's Messages API, which has no idempotency key. */
@Injectable()
export class TwilioSmsSender extends SmsSender {
  constructor(
    private readonly accounts: TwilioAccounts,
    @Inject(MODULE_OPTIONS_TOKEN) private readonly options: FallbackModuleOptions,
  ) {
    super();
  }

  async send(sms: Sms): Promise<SendResult> {
    try {
      const message = await this.accounts.client(sms.accountSid).messages.create({
        to: sms.to,
        body: sms.body,
        ...(sms.messagingServiceSid === null
          ? { from: sms.from ?? undefined }
          : { messagingServiceSid: sms.messagingServiceSid }),
        statusCallback: sms.statusCallbackUrl ?? undefined,
        validityPeriod: this.options.validityPeriodSeconds ?? VALIDITY_PERIOD_SECONDS,
      });
      return accepted(message);
    } catch (error) {
      return classifySendError(error);
    }
  }

  /** Twilio filters its list by recipient, sender and date only, and by date only what was sent already. */
  async findAccepted(sms: Sms, since: Date): Promise<AcceptedSms[]> {
    const messages = await this.accounts.client(sms.accountSid).messages.list({
      to: sms.to,
      from: sms.from ?? undefined,
      limit: LISTED_MESSAGES,
      pageSize: LISTED_MESSAGES,
    });
    const earliest = since.getTime() - CLOCK_SKEW_MILLISECONDS;
    return messages
      .filter(
        (message) =>
          comparable(message.body) === comparable(sms.body) &&
          message.dateCreated.getTime() >= earliest &&
          (sms.messagingServiceSid === null || message.messagingServiceSid === sms.messagingServiceSid),
      )
      .sort((first, second) => first.dateCreated.getTime() - second.dateCreated.getTime())
      .map(accepted);
  }
}

/** What Smart Encoding replaces, beside what NFKC does. */
const QUOTES_AND_DASHES = /[\p{Pi}\p{Pf}\p{Pd}"'`„‚′″ʼ]/gu;

/**
 * Twilio may change white space and compatible characters of a text; the Smart Encoding of a Messaging Service, which is
 * on by default, writes others in GSM-7, e.g. quotation marks. A trial account's SMS say that they are some.
 * Source: https://www.twilio.com/blog/copilot-just-got-even-smarter-announcing-smart-encoding-html
 */
function comparable(body: string): string {
  const text = body.normalize('NFKC').replace(/\s+/g, ' ').trim();
  return text.replace(/^Sent from your Twilio trial account - /, '').replace(QUOTES_AND_DASHES, '');
}

function accepted({ sid, status }: MessageInstance): AcceptedSms {
  return { outcome: 'accepted', messageSid: sid, status };
}
