import { Injectable } from '@nestjs/common';
import { type AcceptedSms, type SendResult, type Sms, SmsSender } from 'whatsapp-sms-fallback';

/** A provider that takes an idempotency key: sending again with the same one sends nothing. */
@Injectable()
export class OtherProvider extends SmsSender {
  async send({ reference, to, body }: Sms): Promise<SendResult> {
    const answer = await this.call('POST', '', { key: reference, to, body }).catch((error: unknown) => error);
    if (!(answer instanceof Response)) return problem('ambiguous', String(answer));
    if (answer.status >= 500) return problem('ambiguous', `HTTP ${answer.status}`);
    if (!answer.ok) return problem('rejected', await answer.text());
    return (await answer.json()) as AcceptedSms;
  }

  async findAccepted({ reference }: Sms): Promise<AcceptedSms[]> {
    const answer = await this.call('GET', `?key=${reference}`);
    return (await answer.json()) as AcceptedSms[];
  }

  private call(method: string, query: string, body?: object): Promise<Response> {
    const init = { method, body: body && JSON.stringify(body), signal: AbortSignal.timeout(10_000) };
    return fetch(`${process.env.PROVIDER_URL}/messages${query}`, init);
  }
}

const problem = (outcome: 'ambiguous' | 'rejected', message: string): SendResult => ({
  ...{ outcome, code: 'OTHER_PROVIDER', message, retryAfterSeconds: null },
});
