import { Inject, Injectable } from '@nestjs/common';
import twilio from 'twilio';
import { SMS_FALLBACK_ID_PARAMETER } from '../message-events/message-status-report.js';
import { type OriginalMessage, OriginalMessages } from '../messages/original-messages.js';
import { classifySendError, type SendError } from '../twilio/send-error.js';
import { TwilioAccounts } from '../twilio/twilio-accounts.js';
import type { SkipReason } from './fallback-reasons.js';
import { type FallbackModuleOptions, MODULE_OPTIONS_TOKEN } from './fallback.module-definition.js';
import type { SmsFallback } from './sms-fallback.entity.js';
import type { Sms } from './sms-sender.js';
import { toSmsText } from './sms-text.js';

export interface ComposedSms {
  readonly toNumber: string;
  readonly fromNumber: string | null;
  readonly messagingServiceSid: string | null;
  readonly body: string;
  readonly truncated: boolean;
}

export type Composition =
  | { readonly kind: 'composed'; readonly sms: ComposedSms }
  | { readonly kind: 'original_message_missing' }
  | { readonly kind: 'skipped'; readonly reason: SkipReason }
  | { readonly kind: 'unavailable'; readonly problem: SendError };

/** Decides what the SMS says, to whom, and from whom. */
@Injectable()
export class SmsComposer {
  constructor(
    private readonly originalMessages: OriginalMessages,
    private readonly accounts: TwilioAccounts,
    @Inject(MODULE_OPTIONS_TOKEN) private readonly options: FallbackModuleOptions,
  ) {}

  /** `unavailable` where Twilio has to be asked for the text or the recipient, and does not answer with them. */
  async compose(fallback: SmsFallback): Promise<Composition> {
    const original = await this.originalMessages.findByTwilioSid(fallback.originalMessageSid);
    if (original === null) return { kind: 'original_message_missing' };
    if (original.company === null) return skipped('conversation_without_company');
    const sender = this.sender(fallback.accountSid, original.company);
    if (sender === null) return skipped('no_sender_number');
    const found = await this.recipientAndText(fallback, original);
    if ('problem' in found) return { kind: 'unavailable', problem: found.problem };
    const { to, body } = found;
    if (to === '') return skipped('no_recipient');
    if (body.trim() === '') return skipped('no_text');
    const { text, truncated } = toSmsText(body);
    return { kind: 'composed', sms: { toNumber: to, ...sender, body: text, truncated } };
  }

  /** What is handed to Twilio. */
  smsOf({ id, accountSid, statusCallbackUrl }: SmsFallback, composed: ComposedSms): Sms {
    const callbackUrl = this.options.statusCallbackUrl ?? statusCallbackUrl;
    return {
      accountSid,
      to: composed.toNumber,
      from: composed.fromNumber,
      messagingServiceSid: composed.messagingServiceSid,
      body: composed.body,
      // Twilio by itself tries a callback once; the fragment asks for five retries after any failure.
      statusCallbackUrl:
        callbackUrl === null ? null : `${callbackUrl}?${SMS_FALLBACK_ID_PARAMETER}=${id}#rc=5&rp=all`,
    };
  }

  private sender(accountSid: string, { phoneNumber }: NonNullable<OriginalMessage['company']>) {
    const { messagingService, defaultFrom } = this.options;
    // A Messaging Service belongs to one account; a subaccount cannot send through its parent's.
    if (messagingService?.accountSid === accountSid) {
      return { fromNumber: null, messagingServiceSid: messagingService.sid };
    }
    const fromNumber = phoneNumber?.trim() || defaultFrom;
    return fromNumber ? { fromNumber, messagingServiceSid: null } : null;
  }

  /** Twilio is asked where the callback left out the recipient, or where the text is a template that it rendered. */
  private async recipientAndText(
    { accountSid, originalMessageSid, toNumber }: SmsFallback,
    { body }: OriginalMessage,
  ) {
    if (toNumber !== null && body !== null && body.trim() !== '') return { to: toNumber, body };
    const message = await this.fetch(accountSid, originalMessageSid);
    if (message !== null && 'problem' in message) return message;
    return {
      to: toNumber ?? message?.to.replace(/^[a-z]+:/, '') ?? '',
      body: body !== null && body.trim() !== '' ? body : (message?.body ?? ''),
    };
  }

  private async fetch(accountSid: string, messageSid: string) {
    try {
      return await this.accounts.client(accountSid).messages(messageSid).fetch();
    } catch (error) {
      if (error instanceof twilio.RestException && error.status === 404) return null;
      return { problem: classifySendError(error) };
    }
  }
}

function skipped(reason: SkipReason): Composition {
  return { kind: 'skipped', reason };
}
