import { setTimeout as delay } from 'node:timers/promises';
import { newMessageSid } from '../simulator/message.js';
import type { SimulatedMessage } from '../simulator/message.js';
import { MAIN_ACCOUNT } from './accounts.js';
import { webhookUrlOf } from './balancer.js';
import type { Moments } from './failovers.js';
import type { Replica } from './replica.js';
import type { World } from './world.js';

const PROBE_PAUSE_MILLISECONDS = 100;
const GIVE_UP_MILLISECONDS = 90_000;

/** Measures when the service works again: each replica stores a callback, and an SMS reaches Twilio. */
export class RecoveryWatch {
  readonly #sms: number[] = [];

  constructor(private readonly world: World) {
    world.twilio.on('message', this.#onSms);
  }

  close(): void {
    this.world.twilio.off('message', this.#onSms);
  }

  /** @returns when everything worked, in milliseconds since 1970; Infinity: not within 90 seconds. */
  async recoveredAfter({ promotedAt, reachableAt }: Moments, until: AbortSignal): Promise<number> {
    const end = Date.now() + GIVE_UP_MILLISECONDS;
    const isOver = () => until.aborted || Date.now() > end;
    const times = await Promise.all([
      ...this.world.replicas.map((replica) => this.#acknowledged(replica, isOver)),
      this.#sent(promotedAt, isOver),
    ]);
    return Math.max(reachableAt, ...times);
  }

  /** Sends callbacks until one is stored, which only the new primary can do by now. */
  async #acknowledged(replica: Replica, isOver: () => boolean): Promise<number> {
    while (!isOver()) {
      if (await this.#isStored(replica)) return Date.now();
      await delay(PROBE_PAUSE_MILLISECONDS);
    }
    return Infinity;
  }

  async #isStored(replica: Replica): Promise<boolean> {
    try {
      const parameters = {
        MessageSid: newMessageSid(),
        MessageStatus: 'delivered',
        AccountSid: MAIN_ACCOUNT.sid,
        ChannelPrefix: 'whatsapp',
        From: 'whatsapp:+14155238886',
        To: 'whatsapp:+15550000000',
      };
      const { status } = await this.world.twilio.sendCallback({ url: webhookUrlOf(replica), parameters });
      return status === 204;
    } catch {
      return false;
    }
  }

  async #sent(promotedAt: number, isOver: () => boolean): Promise<number> {
    while (!isOver()) {
      const sentAt = this.#sms.find((time) => time >= promotedAt);
      if (sentAt !== undefined) return sentAt;
      await delay(PROBE_PAUSE_MILLISECONDS);
    }
    return Infinity;
  }

  readonly #onSms = ({ dateCreated }: SimulatedMessage): void => {
    this.#sms.push(dateCreated.getTime());
  };
}
