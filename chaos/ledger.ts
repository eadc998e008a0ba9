import type { CallbackAttempt } from '../simulator/callback-sender.js';
import type { TwilioSimulator } from '../simulator/twilio-simulator.js';
import { POLICY_ERROR_CODE } from './status-steps.js';

/** How many requests the simulator may remember; they are counted here already. */
const REMEMBERED_REQUESTS = 1_000;

export interface AcknowledgedCallback {
  readonly messageSid: string;
  readonly status: string;
}

/** What was seen from outside: how the service answered each callback. */
export class Ledger {
  /** When a policy failure of a message was acknowledged first, by its SID, in milliseconds since 1970. */
  readonly policyFailures = new Map<string, number>();
  /** Answers that are neither 2xx nor 503. */
  readonly otherAnswers: string[] = [];
  readonly attempts = { acknowledged: 0, unavailable: 0, other: 0, unanswered: 0 };

  readonly #statuses = new Map<string, Set<string>>();

  constructor(twilio: TwilioSimulator) {
    twilio.on('callback', (attempt) => {
      this.#count(attempt);
      if (twilio.callbacks.length > REMEMBERED_REQUESTS) twilio.callbacks.length = 0;
      if (twilio.requests.length > REMEMBERED_REQUESTS) twilio.requests.length = 0;
    });
  }

  /** Every status that was acknowledged, once. */
  acknowledged(): AcknowledgedCallback[] {
    return [...this.#statuses].flatMap(([messageSid, statuses]) =>
      [...statuses].map((status) => ({ messageSid, status })),
    );
  }

  /** The statuses of a message that were acknowledged. */
  statusesOf(messageSid: string): ReadonlySet<string> {
    return this.#statuses.get(messageSid) ?? new Set();
  }

  #count({ parameters, status: answer }: CallbackAttempt): void {
    const messageSid = String(parameters['MessageSid']);
    const status = String(parameters['MessageStatus']);
    if (answer === undefined) this.attempts.unanswered += 1;
    else if (answer >= 200 && answer < 300) {
      this.attempts.acknowledged += 1;
      this.#statuses.set(messageSid, (this.#statuses.get(messageSid) ?? new Set()).add(status));
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
