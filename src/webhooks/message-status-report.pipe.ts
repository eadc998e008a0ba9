import { BadRequestException, Injectable, type PipeTransform } from '@nestjs/common';
import { z } from 'zod';
import {
  type ChannelAddress,
  CODE_LENGTH,
  indexedText,
  numberOf,
  parseAddress,
  parseChannel,
  userIdsOf,
} from '../message-events/channel-address.js';
import { ExactNumber, NestedTooDeepError, parseExactly, storable } from '../message-events/exact-json.js';
import {
  type MessageStatusReport,
  SMS_FALLBACK_ID_PARAMETER,
} from '../message-events/message-status-report.js';
import { measured } from '../process/measurements.js';
import type { CallbackParameters, SignedCallback } from './callback-request.js';
import { explainMisdirected, misdirectedRequest } from './misdirected-requests.js';
import { RejectedCallbacksStore } from './rejected-callbacks.store.js';

/** MessageSid and MessageStatus together are an index key. Real ones have 34 and at most 19 characters. */
const key = z
  .string('must be given once')
  .refine((value) => value.trim() !== '', 'must not be empty')
  .refine((value) => value.length <= CODE_LENGTH, `must have ${CODE_LENGTH} characters at most`);

/** The required parameters of a callback. Any other parameter may be missing, unknown or new, and is kept. */
export const messageStatusCallbackSchema = z.object({
  MessageSid: key,
  MessageStatus: key,
  AccountSid: z.string(),
});

const uuid = z.uuid();

/**
 * @param demanded the parameters that the schema requires.
 * @param payload every parameter, in a form that can be stored.
 * @param url the URL that Twilio called, with its query string.
 */
export function toMessageStatusReport(
  demanded: z.output<typeof messageStatusCallbackSchema>,
  payload: CallbackParameters,
  url: string,
): MessageStatusReport {
  const to = parseAddress(text(payload, 'To'));
  const from = parseAddress(text(payload, 'From'));
  const channelPrefix = text(payload, 'ChannelPrefix');
  const errorCode = text(payload, 'ErrorCode');
  const [callbackUrl = url] = url.split('?', 1);
  return {
    messageSid: demanded.MessageSid,
    messageStatus: demanded.MessageStatus,
    channel: to.channel ?? from.channel ?? (channelPrefix === null ? 'sms' : parseChannel(channelPrefix)),
    toNumber: numberOf(to),
    fromNumber: numberOf(from),
    ...userIdsOf([to, ...externalIds(payload)]),
    errorCode: errorCode === null ? null : indexedText(errorCode, CODE_LENGTH),
    errorMessage: text(payload, 'ErrorMessage'),
    accountSid: demanded.AccountSid,
    payload,
    source: 'callback',
    smsFallbackId: smsFallbackId(url.slice(callbackUrl.length)),
    callbackUrl,
  };
}

/** Reads the external IDs, which Twilio writes with or without the prefix `whatsapp:`. */
function externalIds(payload: CallbackParameters): ChannelAddress[] {
  // Most callbacks have neither.
  if (payload.ExternalUserId === undefined && payload.ParentExternalUserId === undefined) return [];
  return ['ExternalUserId', 'ParentExternalUserId'].map((name) => parseAddress(text(payload, name)));
}

/** A parameter's text, the first one if it is repeated; null if it is missing or empty. */
function text(parameters: CallbackParameters, name: string): string | null {
  const value = parameters[name];
  const first: unknown = Array.isArray(value) ? value[0] : value;
  if (typeof first === 'number' || first instanceof ExactNumber) return String(first);
  return typeof first === 'string' && first !== '' ? first : null;
}

function smsFallbackId(query: string): string | null {
  // Only the callbacks of fallbacks have one.
  if (query === '') return null;
  const id = new URLSearchParams(query).get(SMS_FALLBACK_ID_PARAMETER);
  return uuid.safeParse(id).data ?? null;
}

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
