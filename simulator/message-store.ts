import { readRecipient } from './addresses.js';
import type { CallbackStep } from './callback-plan.js';
import { firstValue } from './form-parameters.js';
import type { FormParameters } from './form-parameters.js';
import { hasLeft, isProgress, newMessageSid } from './message.js';
import type { SimulatedMessage } from './message.js';

/** A message that exists before any request, e.g. the original WhatsApp message. */
export interface ExistingMessage extends Partial<Omit<SimulatedMessage, 'dateUpdated' | 'parameters'>> {
  readonly to: string;
}

type Changeable<T> = { -readonly [K in keyof T]: T[K] };

/** The sender that a Messaging Service picks here: Twilio's test number that always works. */
const serviceSender = '+15005550006';

/** Every message of every account, oldest first. */
export class MessageStore {
  readonly #messages = new Map<string, Changeable<SimulatedMessage>>();
  /**
   * Messages by account, and by account and recipient, oldest first, since tens of thousands of messages are listed
   * often.
   */
  readonly #lists = new Map<string, SimulatedMessage[]>();

  /** Creates a message as POST Messages does; its first status is the one in Twilio's answer. */
  create(accountSid: string, parameters: FormParameters): SimulatedMessage {
    const media = parameters['MediaUrl'] ?? [];
    const mediaCount = typeof media === 'string' ? 1 : media.length;
    const messagingServiceSid = firstValue(parameters, 'MessagingServiceSid');
    const to = firstValue(parameters, 'To') ?? '';
    const validityPeriod = firstValue(parameters, 'ValidityPeriod');
    const message = {
      sid: newMessageSid(mediaCount > 0 ? 'MM' : 'SM'),
      accountSid,
      to: readRecipient(to) ?? to,
      from: firstValue(parameters, 'From'),
      body: firstValue(parameters, 'Body'),
      messagingServiceSid,
      statusCallback: firstValue(parameters, 'StatusCallback'),
      validityPeriod: validityPeriod === undefined ? undefined : Number(validityPeriod),
      contentSid: firstValue(parameters, 'ContentSid'),
      mediaCount,
      status: messagingServiceSid === undefined ? 'queued' : 'accepted',
    };
    return this.add(message, parameters);
  }

  add(
    message: ExistingMessage & Pick<SimulatedMessage, 'accountSid'>,
    parameters: FormParameters = {},
  ): SimulatedMessage {
    const { status = 'sent', dateCreated = message.dateSent ?? new Date() } = message;
    const dateSent = message.dateSent ?? (hasLeft(status) ? dateCreated : undefined);
    const stored: Changeable<SimulatedMessage> = {
      ...message,
      sid: message.sid ?? newMessageSid(),
      body: message.body ?? '',
      mediaCount: message.mediaCount ?? 0,
      status,
      dateCreated,
      dateUpdated: dateSent ?? dateCreated,
      dateSent,
      parameters,
    };
    this.#messages.set(stored.sid, stored);
    this.#insert(stored);
    return stored;
  }

  #insert(message: SimulatedMessage): void {
    for (const key of [keyOf(message.accountSid), keyOf(message.accountSid, message.to)]) {
      const list = this.#lists.get(key) ?? [];
      this.#lists.set(key, list);
      // Most messages are the newest; one with its own date may belong earlier.
      let index = list.length;
      while (index > 0 && (list[index - 1]?.dateCreated ?? 0) > message.dateCreated) index -= 1;
      list.splice(index, 0, message);
    }
  }

  /** Advances the message to this step's status, unless it has progressed further. */
  advance(sid: string, step: CallbackStep): void {
    const message = this.#messages.get(sid);
    if (message === undefined) return;
    const now = new Date();
    message.from ??= serviceSender;
    message.dateUpdated = now;
    if (!isProgress(message.status, step.status)) return;
    message.status = step.status;
    message.errorCode = step.errorCode;
    message.errorMessage = step.errorMessage;
    if (hasLeft(step.status)) message.dateSent ??= now;
  }

  find(sid: string): SimulatedMessage | undefined {
    return this.#messages.get(sid);
  }

  /**
   * An account's messages, newest first.
   * @param to only those to this recipient.
   */
  *ofAccount(accountSid: string, to?: string): Generator<SimulatedMessage> {
    const messages = this.#lists.get(keyOf(accountSid, to)) ?? [];
    for (let index = messages.length - 1; index >= 0; index -= 1) {
      const message = messages[index];
      if (message !== undefined) yield message;
    }
  }

  clear(): void {
    this.#messages.clear();
    this.#lists.clear();
  }
}

function keyOf(accountSid: string, to = ''): string {
  return `${accountSid}\n${to}`;
}
