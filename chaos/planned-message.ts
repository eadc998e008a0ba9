import { randomUUID } from 'node:crypto';
import type { CallbackStep } from '../simulator/callback-plan.js';
import { newMessageSid } from '../simulator/message.js';
import { type Company, DEFAULT_SENDER, MAIN_ACCOUNT, SUBACCOUNT } from './accounts.js';
import type { Random } from './random.js';
import { deliveredSteps, refusedSteps, whatsappSteps } from './status-steps.js';

const LONGEST_SMS = 1600;

/** A WhatsApp message of the application, and its planned course. */
export interface PlannedMessage {
  readonly id: string;
  readonly conversationId: string;
  readonly sid: string;
  readonly accountSid: string;
  /** The person's number in E.164, even if the message goes to the person's user ID. */
  readonly to: string;
  /** WhatsApp's user ID of the person, which the callbacks carry; null: they carry the number only. */
  readonly userId: string | null;
  /** Whether it is addressed to the user ID, so that nothing about this message names the number. */
  readonly isToUserId: boolean;
  /** The SID of the account's earlier message whose callbacks name both the ID and the number; null: there is none. */
  readonly numberToldBy: string | null;
  /** The text that the person would read. */
  readonly text: string;
  /** `messages.body`; empty if only Twilio knows the text. */
  readonly storedBody: string | null;
  /** Null: its conversation belongs to no company, so that a fallback is skipped. */
  readonly company: Company | null;
  /** How long the application waits before sending, in milliseconds. */
  readonly sentAfter: number;
  /** How long after sending the application stores the message, in milliseconds; null: before sending. */
  readonly storedAfter: number | null;
  readonly steps: readonly CallbackStep[];
  /** Whether a policy failure is among the steps. */
  readonly fails: boolean;
}

/** The required SMS of a failed message. */
export interface ExpectedSms {
  readonly accountSid: string;
  readonly to: string;
  readonly from: string;
  readonly body: string;
}

/** @returns null if there must be none, regardless of what is known about the person. */
export function expectedSms({ accountSid, to, text, company, fails }: PlannedMessage): ExpectedSms | null {
  if (!fails || company === null) return null;
  const body = text.length <= LONGEST_SMS ? text : `${text.slice(0, LONGEST_SMS - 1)}…`;
  return { accountSid, to, from: company.phoneNumber ?? DEFAULT_SENDER, body };
}

export class MessagePlanner {
  #count = 0;

  constructor(
    private readonly random: Random,
    private readonly companies: readonly [Company, ...Company[]],
    private readonly dropsCallbacks: boolean,
  ) {}

  /**
   * Returns one message, or two with the same text to the same person, which are hard to tell apart; some go to a user
   * ID.
   */
  next(): PlannedMessage[] {
    const message = this.#plan();
    const messages = this.random.chance(0.04) ? [message, this.#again(message)] : [message];
    return this.random.chance(0.12) ? this.#toUserId(message, messages) : messages;
  }

  /** Returns a message of a refused campaign. */
  refused(): PlannedMessage {
    return { ...this.#plan(), ...refusedSteps(this.random, this.dropsCallbacks) };
  }

  #plan(): PlannedMessage {
    const { random } = this;
    this.#count += 1;
    const text = this.#text();
    return {
      ...newIds(),
      accountSid: random.chance(0.15) ? SUBACCOUNT.sid : MAIN_ACCOUNT.sid,
      to: `+1555${String(this.#count).padStart(7, '0')}`,
      userId: null,
      isToUserId: false,
      numberToldBy: null,
      text,
      storedBody: random.chance(0.08) ? random.pick([null, '', ' ']) : text,
      company: random.chance(0.02) ? null : random.pick(this.companies),
      sentAfter: 0,
      storedAfter: random.chance(0.15) ? random.integer(100, 6_000) : null,
      ...whatsappSteps(random, this.dropsCallbacks),
    };
  }

  #again(message: PlannedMessage): PlannedMessage {
    return { ...message, ...newIds(), ...whatsappSteps(this.random, this.dropsCallbacks) };
  }

  /**
   * Addresses the messages to the person's user ID. An earlier message may also name the number: long before, at about
   * the same time, or in another account, where it is useless for this account; or there is none.
   */
  #toUserId(first: PlannedMessage, messages: readonly PlannedMessage[]): PlannedMessage[] {
    const { random } = this;
    const userId = this.#userId();
    const earlier = random.weighted({ known: 55, told_at_once: 15, other_account: 10, unknown: 20 });
    const sentAfter = earlier === 'told_at_once' ? random.integer(0, 1_500) : random.integer(2_500, 6_000);
    if (earlier === 'unknown') {
      return messages.map((message) => ({ ...message, userId, isToUserId: true }));
    }
    const telling: PlannedMessage = {
      ...first,
      ...newIds(),
      ...(earlier === 'other_account' && { accountSid: otherAccount(first.accountSid) }),
      userId,
      text: `${first.text} It is an earlier one.`,
      storedAfter: null,
      steps: deliveredSteps(random, this.dropsCallbacks),
      fails: false,
    };
    const numberToldBy = earlier === 'other_account' ? null : telling.sid;
    return [
      telling,
      ...messages.map((message) => ({ ...message, userId, isToUserId: true, numberToldBy, sentAfter })),
    ];
  }

  /**
   * Returns a user ID whose digits alone would be a stranger's number: at most 15, so that Twilio would accept them.
   */
  #userId(): string {
    const parent = this.random.chance(0.2) ? 'ENT.' : '';
    return `US.${parent}1349${String(this.#count).padStart(7, '0')}`;
  }

  #text(): string {
    const text = `Hello, this is reminder ${String(this.#count)} with “quotes” & a ünïcode 🙂.`;
    return this.random.chance(0.03) ? `${text} ${'Please read on. '.repeat(110)}` : text;
  }
}

function newIds(): Pick<PlannedMessage, 'id' | 'conversationId' | 'sid'> {
  return { id: randomUUID(), conversationId: randomUUID(), sid: newMessageSid() };
}

function otherAccount(accountSid: string): string {
  return accountSid === MAIN_ACCOUNT.sid ? SUBACCOUNT.sid : MAIN_ACCOUNT.sid;
}
