import { Injectable } from '@nestjs/common';
import type { MessageInstance } from 'twilio/lib/rest/api/v2010/account/message.js';
import { isE164 } from '../messages/phone-number.js';
import { classifySendError, type SendError } from '../twilio/send-error.js';
import { TwilioAccounts } from '../twilio/twilio-accounts.js';
import { type AcceptedSearch, type AcceptedSms, type SendResult, type Sms, SmsSender } from './sms-sender.js';

/** How far Twilio's clock may be behind ours. */
const CLOCK_SKEW_MILLISECONDS = 60_000;

/** How many messages to one person, and from one sender, are searched, newest first. */
const LISTED_MESSAGES = 200;

const NOT_A_NUMBER: SendError = {
  outcome: 'rejected',
  code: 'NOT_E164',
  message: 'The recipient or the sender is not a telephone number in E.164, so nothing was handed to Twilio',
  retryAfterSeconds: null,
};

/** Sends through Twilio's Messages API, which has no idempotency key. */
@Injectable()
export class TwilioSmsSender extends SmsSender {
  constructor(private readonly accounts: TwilioAccounts) {
    super();
  }

  /**
   * Twilio drops every non-digit from the `To` of an SMS. Anything but E.164 could reach a stranger, so it is not sent.
   */
  async send(sms: Sms): Promise<SendResult> {
    if (!isE164(sms.to) || (sms.from !== null && !isE164(sms.from))) return NOT_A_NUMBER;
    try {
      const message = await this.accounts.client(sms.accountSid).messages.create({
        to: sms.to,
        body: sms.body,
        ...(sms.messagingServiceSid === null
          ? { from: sms.from ?? undefined }
          : { messagingServiceSid: sms.messagingServiceSid }),
        statusCallback: sms.statusCallbackUrl ?? undefined,
        validityPeriod: sms.validityPeriodSeconds,
      });
      return accepted(message);
    } catch (error) {
      return classifySendError(error);
    }
  }

  /**
   * Twilio filters its list by recipient, sender and date only, and by date only what was sent already. Message
   * redaction hides the recipient's last digits, the text, or both once an SMS is sent, for a whole account or for one
   * message; whether the filter by recipient still finds such an SMS is not documented. So the sender's newest messages
   * are searched too.
   * Source: https://www.twilio.com/docs/messaging/guides/privacy-message-redaction
   */
  async findAccepted(sms: Sms, since: Date): Promise<AcceptedSearch> {
    const earliest = since.getTime() - CLOCK_SKEW_MILLISECONDS;
    const toRecipient = await this.list(sms, { to: sms.to });
    const newest = await this.list(sms, {});
    const messages = new Map([...newest, ...toRecipient].map((message) => [message.sid, message]));
    const foundByRecipient = new Set(toRecipient.map(({ sid }) => sid));
    const matches = [...messages.values()]
      .filter((message) => message.dateCreated.getTime() >= earliest && isOfSender(message, sms))
      .sort((first, second) => first.dateCreated.getTime() - second.dateCreated.getTime())
      .map((message) => ({
        message,
        recipient: foundByRecipient.has(message.sid) ? 'same' : matchRecipient(textOf(message.to), sms.to),
        text: matchText(message, sms.body),
      }))
      .filter(({ recipient, text }) => recipient !== 'other' && text !== 'other');
    const isCertain = ({ recipient, text }: (typeof matches)[number]) =>
      recipient === 'same' && text === 'same';
    return {
      accepted: matches.filter(isCertain).map(({ message }) => accepted(message)),
      possible: matches.filter((match) => !isCertain(match)).map(({ message }) => accepted(message)),
      complete:
        reachesBackTo(earliest, toRecipient) && (reachesBackTo(earliest, newest) || !newest.some(isMasked)),
    };
  }

  private list({ accountSid, from }: Sms, filter: { to?: string }): Promise<MessageInstance[]> {
    return this.accounts.client(accountSid).messages.list({
      ...filter,
      from: from ?? undefined,
      limit: LISTED_MESSAGES,
      pageSize: LISTED_MESSAGES,
    });
  }
}

/** How a listed recipient or text compares with the SMS; `hidden` if message redaction hides it. */
type Match = 'same' | 'hidden' | 'other';

function isOfSender({ messagingServiceSid }: MessageInstance, sms: Sms): boolean {
  return sms.messagingServiceSid === null || messagingServiceSid === sms.messagingServiceSid;
}

/** @param listed a number in which digits may be hidden; the visible ones decide. */
function matchRecipient(listed: string, to: string): Match {
  if (listed === to) return 'same';
  if (!isMaskedNumber(listed)) return 'other';
  const [start = '', end = ''] = /^\+?(\d*)\D.*?(\d*)$/.exec(listed)?.slice(1) ?? [];
  const digits = to.replaceAll(/\D/g, '');
  return digits.startsWith(start) && digits.endsWith(end) ? 'hidden' : 'other';
}

function matchText({ body, numMedia }: MessageInstance, text: string): Match {
  if (textOf(body) === '') return numMedia === '0' ? 'hidden' : 'other';
  return comparable(body) === comparable(text) ? 'same' : 'other';
}

/** Twilio's library types both the recipient and the text as never null, but redaction may remove them. */
function textOf(field: string | null): string {
  return field ?? '';
}

function reachesBackTo(earliest: number, messages: readonly MessageInstance[]): boolean {
  return (
    messages.length < LISTED_MESSAGES || messages.some(({ dateCreated }) => dateCreated.getTime() < earliest)
  );
}

/** Redaction may be on for the SMS if it is on for another message of any channel. */
function isMasked({ to }: MessageInstance): boolean {
  return isMaskedNumber(textOf(to).replace(/^whatsapp:/, ''));
}

/** Neither a number in full, nor a WhatsApp user ID such as `US.13491208655302`, nor an address of another channel. */
function isMaskedNumber(address: string): boolean {
  return !/^\+?\d+$/.test(address) && !/^[A-Z]{2}\./.test(address) && !address.includes(':');
}

/** The characters that Smart Encoding replaces, in addition to NFKC. */
const QUOTES_AND_DASHES = /[\p{Pi}\p{Pf}\p{Pd}"'`„‚′″ʼ]/gu;

/**
 * Twilio may change white space and compatible characters of a text; the Smart Encoding of a Messaging Service, which
 * is on by default, writes others in GSM-7, e.g. quotation marks. SMS of a trial account carry a notice of that.
 * Source: https://www.twilio.com/blog/copilot-just-got-even-smarter-announcing-smart-encoding-html
 */
function comparable(body: string): string {
  const text = body.normalize('NFKC').replace(/\s+/g, ' ').trim();
  return text.replace(/^Sent from your Twilio trial account - /, '').replace(QUOTES_AND_DASHES, '');
}

function accepted({ sid, status }: MessageInstance): AcceptedSms {
  return { outcome: 'accepted', messageSid: sid, status };
}
