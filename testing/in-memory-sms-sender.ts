import { randomUUID } from 'node:crypto';
import {
  type AcceptedSearch,
  type AcceptedSms,
  type SendResult,
  type Sms,
  SmsSender,
} from '../src/fallback/sms-sender.js';
import type { SendError, SendOutcome } from '../src/twilio/send-error.js';

/** An SMS that the provider has accepted. */
export interface InMemorySms extends Sms, Pick<AcceptedSms, 'messageSid'> {
  readonly acceptedAt: Date;
}

type Failure = Omit<SendError, 'outcome'>;

interface Answer {
  readonly isAccepted: boolean;
  readonly problem: SendError;
}

/** A provider of SMS that keeps them in memory, for tests. Nothing goes over the network, so none has a callback. */
export class InMemorySmsSender extends SmsSender {
  /** Every SMS that was accepted, the oldest first. */
  readonly sms: InMemorySms[] = [];
  /** Hides the texts in searches, as Twilio's message redaction does. */
  hidesTexts = false;
  readonly #answers: Answer[] = [];
  #failingSearches = 0;

  /** Rejects the next SMS for good. */
  rejectNext(failure?: Partial<Failure>): void {
    this.#answers.push({ isAccepted: false, problem: problem('rejected', failure) });
  }

  /** Refuses the next SMS for now: it may be sent again. */
  refuseNextForNow(failure?: Partial<Failure>): void {
    this.#answers.push({ isAccepted: false, problem: problem('not_processed', failure) });
  }

  /** Accepts the next SMS without an answer. */
  loseNextAnswer(): void {
    this.#answers.push({ isAccepted: true, problem: problem('ambiguous') });
  }

  /** Neither accepts nor answers the next SMS. The sender reports that at once instead of waiting. */
  hangNext(): void {
    this.#answers.push({ isAccepted: false, problem: problem('ambiguous') });
  }

  /** Makes the next search for an SMS fail. */
  failNextLook(): void {
    this.#failingSearches += 1;
  }

  send(sms: Sms): Promise<SendResult> {
    const answer = this.#answers.shift();
    if (answer?.isAccepted === false) return Promise.resolve(answer.problem);
    const accepted = { ...sms, messageSid: `SM${randomUUID().replaceAll('-', '')}`, acceptedAt: new Date() };
    this.sms.push(accepted);
    return Promise.resolve(answer?.problem ?? resultOf(accepted));
  }

  findAccepted({ to, body }: Sms, since: Date): Promise<AcceptedSearch> {
    if (this.#failingSearches > 0) {
      this.#failingSearches -= 1;
      return Promise.reject(new Error('The provider cannot be asked'));
    }
    const found = this.sms
      .filter((one) => one.to === to && one.acceptedAt >= since)
      .filter((one) => this.hidesTexts || one.body === body)
      .map(resultOf);
    const [accepted, possible] = this.hidesTexts ? [[], found] : [found, []];
    return Promise.resolve({ accepted, possible, complete: true });
  }
}

function resultOf({ messageSid }: InMemorySms): AcceptedSms {
  return { outcome: 'accepted', messageSid, status: 'queued' };
}

function problem(outcome: SendOutcome, failure: Partial<Failure> = {}): SendError {
  return { code: 'SIMULATED', message: 'Simulated', retryAfterSeconds: null, ...failure, outcome };
}
