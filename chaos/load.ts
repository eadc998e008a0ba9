import { setTimeout as delay } from 'node:timers/promises';
import type { WhatsappMessage } from '../simulator/simulator-types.js';
import type { TwilioSimulator } from '../simulator/twilio-simulator.js';
import type { ApplicationDatabase } from './application-database.js';
import { WEBHOOK_URL } from './balancer.js';
import type { MessagePlanner, PlannedMessage } from './planned-message.js';
import type { Random } from './random.js';

const TICK_MILLISECONDS = 100;

/** The gap between refused campaigns in milliseconds, and their size. */
const STORM = {
  gap: { least: 20_000, most: 50_000 },
  messages: { least: 200, most: 600 },
} as const;

/** The application's stream of WhatsApp messages. */
export class Load {
  /** Every message that was sent, by its SID. */
  readonly messages = new Map<string, PlannedMessage>();
  /** How many campaigns were refused. */
  storms = 0;
  readonly #storing = new Set<Promise<void>>();
  #failure: Error | undefined;

  constructor(
    private readonly planner: MessagePlanner,
    private readonly database: ApplicationDatabase,
    private readonly twilio: TwilioSimulator,
    private readonly random: Random,
  ) {}

  /**
   * Sends until the signal, and resolves when every message is stored too. From time to time a whole campaign is
   * refused.
   */
  async run(messagesPerSecond: number, until: AbortSignal): Promise<void> {
    const startedAt = Date.now();
    let ofStorms = 0;
    let nextStorm = this.#pause();
    while (!until.aborted) {
      const elapsed = Date.now() - startedAt;
      while (this.messages.size - ofStorms < (elapsed / 1000) * messagesPerSecond) {
        for (const message of this.planner.next()) this.#begin(message);
      }
      if (elapsed >= nextStorm) {
        const count = this.random.integer(STORM.messages.least, STORM.messages.most);
        for (let index = 0; index < count; index += 1) this.#begin(this.planner.refused());
        ofStorms += count;
        this.storms += 1;
        nextStorm = elapsed + this.#pause();
      }
      await delay(TICK_MILLISECONDS, undefined, { signal: until }).catch(() => undefined);
    }
    while (this.#storing.size > 0) await Promise.all(this.#storing);
    if (this.#failure !== undefined)
      throw new Error(`A message could not be stored: ${this.#failure.message}`, { cause: this.#failure });
  }

  #pause(): number {
    return this.random.between(STORM.gap.least, STORM.gap.most);
  }

  #begin(message: PlannedMessage): void {
    this.messages.set(message.sid, message);
    const storing = this.#sendAndStore(message)
      .catch((error: unknown) => {
        this.#failure = error instanceof Error ? error : new Error(String(error));
      })
      .finally(() => this.#storing.delete(storing));
    this.#storing.add(storing);
  }

  async #sendAndStore(message: PlannedMessage): Promise<void> {
    await delay(message.sentAfter);
    if (message.storedAfter === null) {
      await this.database.addMessage(message);
      this.#send(message);
    } else {
      this.#send(message);
      await delay(message.storedAfter);
      await this.database.addMessage(message);
    }
  }

  #send({ sid, accountSid, to, userId, isToUserId, text, steps }: PlannedMessage): void {
    this.twilio.sendWhatsapp({
      sid,
      accountSid,
      from: 'whatsapp:+14155238886',
      to: `whatsapp:${isToUserId && userId !== null ? userId : to}`,
      ...(userId !== null && idParameter(userId)),
      body: text,
      statusCallback: WEBHOOK_URL,
      steps,
    });
  }
}

/** WhatsApp has an ID of a person for one business, and another one for all businesses of a parent. */
function idParameter(userId: string): Pick<WhatsappMessage, 'externalUserId' | 'parentExternalUserId'> {
  return userId.includes('.ENT.') ? { parentExternalUserId: userId } : { externalUserId: userId };
}
