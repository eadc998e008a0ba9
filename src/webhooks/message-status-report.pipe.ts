import { BadRequestException, Injectable, type PipeTransform } from '@nestjs/common';
import { NestedTooDeepError, parseExactly } from '../message-events/exact-json.js';
import { measured } from '../measurements/measurements.js';
import type { MessageStatusReport } from '../message-events/message-status-report.js';
import type { CallbackParameters } from './callback-parameters.js';
import type { SignedCallback } from './callback-request.js';
import { messageStatusCallbackSchema, toMessageStatusReport } from './message-status-callback.js';
import { explainMisdirected, misdirectedRequest } from './misdirected-requests.js';
import { RejectedCallbacksStore } from './rejected-callbacks.store.js';
import { storable } from './storable.js';

/** Turns a signed callback into a report, or keeps it in `rejected_callbacks` and answers 400. */
@Injectable()
export class MessageStatusReportPipe implements PipeTransform<
  SignedCallback,
  MessageStatusReport | Promise<never>
> {
  constructor(private readonly rejectedCallbacks: RejectedCallbacksStore) {}

  transform(callback: SignedCallback): MessageStatusReport | Promise<never> {
    const { body, url } = callback;
    const misdirected = misdirectedRequest(callback);
    const reasons = misdirected === null ? [] : [`this is ${explainMisdirected(misdirected)}`];
    const payload = payloadOf(callback);
    if (payload === null) {
      return this.reject([...reasons, 'the body is nested too deep'], { body: storable(body) });
    }
    if (misdirected !== null) return this.reject(reasons, payload);
    const result = messageStatusCallbackSchema.safeParse(payload);
    if (result.success) return toMessageStatusReport(result.data, payload, url);
    return this.reject(
      result.error.issues.map(({ path, message }) => `${path.join('.')} ${message}`),
      payload,
    );
  }

  private async reject(reasons: string[], payload: object): Promise<never> {
    await this.rejectedCallbacks.keep(reasons.join('; '), payload);
    measured('callback.answered', { channel: null, status: null, result: 'rejected' });
    throw new BadRequestException(reasons);
  }
}

/** @returns every parameter in a form that can be stored; null if it nests too deep. */
function payloadOf({ form, parameters, list, body }: SignedCallback): CallbackParameters | null {
  try {
    if (form === 'form') return storable(parameters);
    const exact = parseExactly(body);
    return storable(list === null ? (exact as CallbackParameters) : { body: exact });
  } catch (error) {
    if (error instanceof NestedTooDeepError) return null;
    throw error;
  }
}
