import { BadRequestException, Injectable, type PipeTransform } from '@nestjs/common';
import { measured } from '../measurements/measurements.js';
import type { MessageStatusReport } from '../message-events/message-status-report.js';
import type { SignedCallback } from './callback-request.js';
import { messageStatusCallbackSchema, toMessageStatusReport } from './message-status-callback.js';
import { explainMisdirected, misdirectedRequest } from './misdirected-requests.js';
import { RejectedCallbacksStore } from './rejected-callbacks.store.js';
import { NestedTooDeepError, storable } from './storable.js';

/** Turns a signed callback into a report, or keeps it in `rejected_callbacks` and answers 400. */
@Injectable()
export class MessageStatusReportPipe implements PipeTransform<
  SignedCallback,
  MessageStatusReport | Promise<never>
> {
  constructor(private readonly rejectedCallbacks: RejectedCallbacksStore) {}

  transform(callback: SignedCallback): MessageStatusReport | Promise<never> {
    const { parameters, list, body, url } = callback;
    const misdirected = misdirectedRequest(callback);
    const reasons = misdirected === null ? [] : [`this is ${explainMisdirected(misdirected)}`];
    const payload = storableOrNull(list === null ? parameters : { body: list });
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

function storableOrNull<Value>(value: Value): Value | null {
  try {
    return storable(value);
  } catch (error) {
    if (error instanceof NestedTooDeepError) return null;
    throw error;
  }
}
