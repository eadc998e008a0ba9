import type { CallbackAttempt } from '../simulator/callback-sender.js';
import type { TwilioSimulator } from '../simulator/twilio-simulator.js';
import { POLICY_ERROR_CODE } from './status-steps.js';

/** How many requests the simulator may remember; they are counted here already. */
const REMEMBERED_REQUESTS = 1_000;

export interface AcknowledgedCallback {
  readonly messageSid: string;
  readonly status: string;
}

/** When the service first received a message's status, in milliseconds since 1970. */
export interface CallbackTimes {
  /**
   * @param statuses which of the statuses count; default: all.
   * @returns when the first callback began that the service may have stored, with any answer; null: there was none.
   */
  toldAt(messageSid: string, statuses?: readonly string[]): number | null;
  /** Returns when a callback was acknowledged, so that the service must know it. */
  acknowledgedAt(messageSid: string, statuses?: readonly string[]): number | null;
}

/** The times of one status of one message; Infinity: never. */
interface StatusTimes {
  toldAt: number;
  acknowledgedAt: number;
}

/** The view from outside: how the service answered each callback. */
export class Ledger implements CallbackTimes {
  /** When a message's policy failure was first acknowledged, by its SID, in milliseconds since 1970. */
  readonly policyFailures = new Map<string, number>();
  /** Answers that are neither 2xx nor 503. */
  readonly otherAnswers: string[] = [];
  readonly attempts = { acknowledged: 0, unavailable: 0, other: 0, unanswered: 0 };

  readonly #times = new Map<string, Map<string, StatusTimes>>();

  constructor(twilio: TwilioSimulator) {
    twilio.on('callback', (attempt) => {
      this.#count(attempt);
      if (twilio.callbacks.length > REMEMBERED_REQUESTS) twilio.callbacks.length = 0;
      if (twilio.requests.length > REMEMBERED_REQUESTS) twilio.requests.length = 0;
    });
  }

  /** Returns every acknowledged status once. */
  acknowledged(): AcknowledgedCallback[] {
    return [...this.#times.keys()].flatMap((messageSid) =>
      [...this.statusesOf(messageSid)].map((status) => ({ messageSid, status })),
    );
  }

  /** The number of requests with a callback. */
  get requests(): number {
    return Object.values(this.attempts).reduce((sum, count) => sum + count, 0);
  }

  /** Returns the acknowledged statuses of a message. */
  statusesOf(messageSid: string): ReadonlySet<string> {
    const statuses = [...(this.#times.get(messageSid) ?? [])];
    return new Set(
      statuses.filter(([, { acknowledgedAt }]) => Number.isFinite(acknowledgedAt)).map(([name]) => name),
    );
  }

  toldAt(messageSid: string, statuses?: readonly string[]): number | null {
    return this.#earliest(messageSid, statuses, ({ toldAt }) => toldAt);
  }

  acknowledgedAt(messageSid: string, statuses?: readonly string[]): number | null {
    return this.#earliest(messageSid, statuses, ({ acknowledgedAt }) => acknowledgedAt);
  }

  #earliest(
    messageSid: string,
    statuses: readonly string[] | undefined,
    timeOf: (times: StatusTimes) => number,
  ): number | null {
    const times = [...(this.#times.get(messageSid) ?? [])]
      .filter(([status]) => statuses?.includes(status) ?? true)
      .map(([, statusTimes]) => timeOf(statusTimes));
    const earliest = Math.min(...times);
    return Number.isFinite(earliest) ? earliest : null;
  }

  #timesOf(messageSid: string, status: string): StatusTimes {
    const statuses = this.#times.get(messageSid) ?? new Map<string, StatusTimes>();
    this.#times.set(messageSid, statuses);
    const times = statuses.get(status) ?? { toldAt: Infinity, acknowledgedAt: Infinity };
    statuses.set(status, times);
    return times;
  }

  #count({ parameters, status: answer, failure, time }: CallbackAttempt): void {
    const messageSid = String(parameters['MessageSid']);
    const status = String(parameters['MessageStatus']);
    const times = this.#timesOf(messageSid, status);
    // Without a connection nothing reached the service; even a 503 may follow a commit whose answer was lost.
    if (failure !== 'ct') times.toldAt = Math.min(times.toldAt, time.getTime());
    if (answer === undefined) this.attempts.unanswered += 1;
    else if (answer >= 200 && answer < 300) {
      this.attempts.acknowledged += 1;
      times.acknowledgedAt = Math.min(times.acknowledgedAt, Date.now());
      const isWhatsapp = parameters['ChannelPrefix'] === 'whatsapp';
      if (isWhatsapp && parameters['ErrorCode'] === String(POLICY_ERROR_CODE)) {
        this.policyFailures.set(messageSid, this.policyFailures.get(messageSid) ?? Date.now());
      }
    } else if (answer === 503) this.attempts.unavailable += 1;
    else {
      this.attempts.other += 1;
      this.otherAnswers.push(`${String(answer)} to ${status} of ${messageSid}`);
    }
  }
}
