import { randomUUID } from 'node:crypto';
import {
  type AcceptedSearch,
  type AcceptedSms,
  type SendResult,
  type Sms,
  SmsSender,
} from '../../src/fallback/sms-sender.js';
import type { SendOutcome } from '../../src/twilio/send-error.js';

type Trouble = 'rejected' | 'not_processed' | 'answer_lost' | 'no_answer';

/** An SmsSender of another team, at its smallest. */
export class InMemorySmsSender extends SmsSender {
  readonly accepted: { readonly sms: Sms; readonly at: Date; readonly result: AcceptedSms }[] = [];
  readonly troubles: Trouble[] = [];
  canBeAsked = true;
  hidesTexts = false;

  send(sms: Sms): Promise<SendResult> {
    const trouble = this.troubles.shift();
    if (trouble === 'rejected' || trouble === 'not_processed') return Promise.resolve(problem(trouble));
    if (trouble === 'no_answer') return Promise.resolve(problem('ambiguous'));
    const result: AcceptedSms = { outcome: 'accepted', messageSid: `SM${randomUUID()}`, status: 'queued' };
    this.accepted.push({ sms, at: new Date(), result });
    return Promise.resolve(trouble === 'answer_lost' ? problem('ambiguous') : result);
  }

  findAccepted(sms: Sms, since: Date): Promise<AcceptedSearch> {
    if (!this.canBeAsked) {
      this.canBeAsked = true;
      return Promise.reject(new Error('The provider is away'));
    }
    const found = this.accepted
      .filter((one) => one.sms.to === sms.to && one.at >= since)
      .filter((one) => this.hidesTexts || one.sms.body === sms.body)
      .map(({ result }) => result);
    const [accepted, possible] = this.hidesTexts ? [[], found] : [found, []];
    return Promise.resolve({ accepted, possible, complete: true });
  }
}

function problem(outcome: SendOutcome): SendResult {
  return { outcome, code: 'SIMULATED', message: 'Simulated', retryAfterSeconds: null };
}
