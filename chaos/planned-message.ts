import { randomUUID } from 'node:crypto';
import type { CallbackStep } from '../simulator/callback-plan.js';
import { newMessageSid } from '../simulator/message.js';
import { type Company, DEFAULT_SENDER, MAIN_ACCOUNT, SUBACCOUNT } from './accounts.js';
import type { Random } from './random.js';
import { whatsappSteps } from './status-steps.js';

const LONGEST_SMS = 1600;

/** A WhatsApp message of the application, and what is to become of it. */
export interface PlannedMessage {
  readonly id: string;
  readonly conversationId: string;
  readonly sid: string;
  readonly accountSid: string;
  /** E.164. */
  readonly to: string;
  /** What the person would read. */
  readonly text: string;
  /** `messages.body`; empty where only Twilio knows the text. */
  readonly storedBody: string | null;
  /** Null: its conversation belongs to none, so that a fallback is skipped. */
  readonly company: Company | null;
  /** How long after the sending the application stores it, in milliseconds; null: before. */
  readonly storedAfter: number | null;
  readonly steps: readonly CallbackStep[];
  /** Whether a policy failure is among the steps. */
  readonly fails: boolean;
}

/** What the SMS of a message that failed must be. */
export interface ExpectedSms {
  readonly accountSid: string;
  readonly to: string;
  readonly from: string;
  readonly body: string;
}

/** @returns null where there must be none. */
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

  /** One message, or now and then two of the same text to the same person, which are hard to tell apart. */
  next(): PlannedMessage[] {
    const message = this.#plan();
    if (!this.random.chance(0.04)) return [message];
    const { steps, fails } = whatsappSteps(this.random, this.dropsCallbacks);
    const ids = { id: randomUUID(), conversationId: randomUUID(), sid: newMessageSid() };
    return [message, { ...message, ...ids, steps, fails }];
  }

  #plan(): PlannedMessage {
    const { random } = this;
    this.#count += 1;
    const text = this.#text();
    return {
      id: randomUUID(),
      conversationId: randomUUID(),
      sid: newMessageSid(),
      accountSid: random.chance(0.15) ? SUBACCOUNT.sid : MAIN_ACCOUNT.sid,
      to: `+1555${String(this.#count).padStart(7, '0')}`,
      text,
      storedBody: random.chance(0.08) ? random.pick([null, '', ' ']) : text,
      company: random.chance(0.02) ? null : random.pick(this.companies),
      storedAfter: random.chance(0.15) ? random.integer(100, 6_000) : null,
      ...whatsappSteps(random, this.dropsCallbacks),
    };
  }

  #text(): string {
    const text = `Hello, this is reminder ${String(this.#count)} with “quotes” & a ünïcode 🙂.`;
    return this.random.chance(0.03) ? `${text} ${'Please read on. '.repeat(110)}` : text;
  }
}
