import { setTimeout as delay } from 'node:timers/promises';
import { silent } from '../simulator/callback-plan.js';
import { firstValue } from '../simulator/form-parameters.js';
import { TwilioSimulator } from '../simulator/twilio-simulator.js';
import type { BenchDatabase } from './bench-database.js';
import { ACCOUNT, type PolicyFailure, policyFailureOf } from './callbacks.js';
import { CallbackConnection } from './load/callback-connection.js';

/** An SMS that takes longer is a fault, not a latency. */
const LIMIT_MILLISECONDS = 20_000;

/** Pauses between failures in milliseconds, so that each hits a different phase of periodic work. */
const PAUSES = [5, 11, 17, 23, 31];

/**
 * Sends callbacks of policy failures and receives their SMS at a fake Twilio in this process, so that one clock
 * measures both.
 */
export class PolicyFailures {
  readonly #arrivals = new Map<string, (time: number) => void>();
  #next = 0;

  private constructor(
    twilio: TwilioSimulator,
    private readonly port: number,
  ) {
    twilio.on('request', ({ method, parameters }) => {
      if (method !== 'POST') return;
      const to = firstValue(parameters, 'To') ?? '';
      this.#arrivals.get(to)?.(performance.now());
    });
  }

  static async startTwilio(): Promise<TwilioSimulator> {
    return TwilioSimulator.start({ accounts: { [ACCOUNT.sid]: ACCOUNT.token }, callbackPlan: silent });
  }

  /** Stores the messages that will fail, as their application would. */
  static async prepare(
    twilio: TwilioSimulator,
    port: number,
    database: BenchDatabase,
    count: number,
  ): Promise<PolicyFailures> {
    const failures = Array.from({ length: count }, (_, index) => policyFailureOf(index).messageSid);
    await database.query(STORE_MESSAGES, [failures]);
    return new PolicyFailures(twilio, port);
  }

  /**
   * Sends failures one after the other on one connection.
   * @param goesOn called before each with the count so far.
   * @returns milliseconds from each callback until the request for its SMS reached Twilio, shortest first.
   */
  async measureWhile(goesOn: (count: number) => boolean): Promise<number[]> {
    const latencies: number[] = [];
    const connection = await CallbackConnection.open(this.port);
    try {
      while (goesOn(latencies.length)) {
        latencies.push(await this.#measureOne(connection));
        await delay(PAUSES[latencies.length % PAUSES.length]);
      }
    } finally {
      connection.close();
    }
    return latencies.sort((left, right) => left - right);
  }

  async #measureOne(connection: CallbackConnection): Promise<number> {
    const failure = policyFailureOf(this.#next);
    this.#next += 1;
    const sentAt = performance.now();
    // Await both together: if the callback fails, the later time-out of its SMS would be unhandled.
    const [arrivedAt] = await Promise.all([this.#arrivalOf(failure), send(connection, failure)]);
    return arrivedAt - sentAt;
  }

  async #arrivalOf({ to }: PolicyFailure): Promise<number> {
    const limit = new AbortController();
    try {
      return await Promise.race([
        new Promise<number>((resolve) => this.#arrivals.set(to, resolve)),
        delay(LIMIT_MILLISECONDS, undefined, { signal: limit.signal, ref: false }).then(() => {
          throw new Error(`There was no SMS within ${LIMIT_MILLISECONDS} ms`);
        }),
      ]);
    } finally {
      this.#arrivals.delete(to);
      limit.abort();
    }
  }
}

async function send(connection: CallbackConnection, { request }: PolicyFailure): Promise<void> {
  const status = await connection.send(request);
  if (status !== 204) throw new Error(`A policy failure's callback was answered ${status}`);
}

const STORE_MESSAGES = `
with company as (
  insert into companies (name, phone_number) values ('Example Clinic', '+15005550006') returning id
),
conversation as (
  insert into conversations (company_id) select id from company returning id
)
insert into messages (conversation_id, twilio_sid, direction, channel, body, status)
select conversation.id, twilio_sid, 'outbound', 'whatsapp', 'Your appointment is tomorrow at 10:00.', 'sent'
  from conversation, unnest($1::text[]) as twilio_sid`;
