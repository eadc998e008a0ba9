import { Inject, Injectable } from '@nestjs/common';
import { NEVER_SENT } from '../message-events/never-sent.js';
import type { OriginalMessage } from '../messages/original-messages.js';
import { parseSender } from '../messages/phone-number.js';
import { triedInCurrentTry } from './current-try.js';
import { type FallbackModuleOptions, MODULE_OPTIONS_TOKEN } from './fallback.module-definition.js';
import type { EarlierAttempt, SmsFallback } from './sms-fallback.entity.js';

/** The sender of an SMS: a number in E.164, or a Messaging Service. */
export type Sender = Pick<SmsFallback, 'fromNumber' | 'messagingServiceSid'>;

/** Chooses the sender of an SMS. */
@Injectable()
export class SmsSenders {
  constructor(@Inject(MODULE_OPTIONS_TOKEN) private readonly options: FallbackModuleOptions) {}

  /**
   * Returns the senders left to try, best first: the Messaging Service of the account; else the company's number, then
   * the default one. A sender that could not send in the current try is left out.
   */
  find(
    fallback: Pick<SmsFallback, 'accountSid' | 'earlierAttempts' | 'retriedAt' | 'createdAt'>,
    company: OriginalMessage['company'],
  ): Sender[] {
    const failed = triedInCurrentTry(fallback).filter(isSendersFault);
    return this.candidates(fallback.accountSid, company).filter(
      (sender) => !failed.some((attempt) => isSame(attempt, sender)),
    );
  }

  private candidates(accountSid: string, company: OriginalMessage['company']): Sender[] {
    const { messagingService, defaultFrom } = this.options;
    // A Messaging Service belongs to one account; a subaccount cannot send through its parent's.
    if (messagingService?.accountSid === accountSid) {
      return [{ fromNumber: null, messagingServiceSid: messagingService.sid }];
    }
    const numbers = [company?.phoneNumber, defaultFrom].flatMap((text) => parseSender(text ?? '') ?? []);
    return [...new Set(numbers)].map((fromNumber) => ({ fromNumber, messagingServiceSid: null }));
  }
}

function isSendersFault({ outcome, code }: EarlierAttempt): boolean {
  return outcome === 'sender_refused' || NEVER_SENT.get(code) === 'other_sender';
}

function isSame({ from, messagingServiceSid }: EarlierAttempt, sender: Sender): boolean {
  return from === sender.fromNumber && messagingServiceSid === sender.messagingServiceSid;
}
