import type { Response } from 'express';
import { channelOf, isSmsSender, readRecipient } from './addresses.js';
import { firstValue } from './form-parameters.js';
import type { FormParameters } from './form-parameters.js';

/** The error that refuses a request. `code` is Twilio's, `status` the HTTP status. */
export interface ApiError {
  readonly status: number;
  readonly code: number;
  readonly message: string;
  /** Sent as Retry-After. */
  readonly retryAfterSeconds?: number;
}

/** Answers with Twilio's error body. */
export function sendError(response: Response, error: ApiError): void {
  if (error.retryAfterSeconds !== undefined) response.set('Retry-After', String(error.retryAfterSeconds));
  response.status(error.status).json({
    code: error.code,
    message: error.message,
    more_info: `https://www.twilio.com/docs/errors/${String(error.code)}`,
    status: error.status,
  });
}

export const notAuthenticated: ApiError = { status: 401, code: 20003, message: 'Authenticate' };
export const invalidDate: ApiError = { status: 400, code: 20001, message: 'Invalid date value.' };
export const internalError: ApiError = {
  status: 500,
  code: 20500,
  message: 'An internal server error has occurred',
};

export function notFound(path: string): ApiError {
  return { status: 404, code: 20404, message: `The requested resource ${path} was not found` };
}

/**
 * The maximum length of Body (https://www.twilio.com/docs/errors/21617), in UTF-16 units, so that an emoji counts as
 * two. Twilio's way of counting is not documented, and this is the harder case.
 */
const longestBody = 1600;

/** The error that refuses a sender, e.g. 21606 (cannot send SMS), 21612 (not to that country), 21660 (not yours). */
export interface SenderRefusal {
  readonly code: number;
  /** Default 400. */
  readonly status?: number;
}

/**
 * Returns why Twilio would refuse this message, or undefined if it would accept it. The codes are those of Twilio's
 * error pages and, for the magic numbers, https://www.twilio.com/docs/iam/test-credentials.
 * @param refusedSenders by `From` or Messaging Service SID
 */
export function refusalOf(
  parameters: FormParameters,
  refusedSenders: ReadonlyMap<string, SenderRefusal>,
): ApiError | undefined {
  const missing = refusalOfContent(parameters);
  if (missing !== undefined) return missing;
  const to = firstValue(parameters, 'To') ?? '';
  const from = firstValue(parameters, 'From');
  const sender = from ?? firstValue(parameters, 'MessagingServiceSid') ?? '';
  return (
    mixedChannels(from, to) ??
    refusalOfSender(sender, refusedSenders.get(sender)) ??
    (from === undefined ? undefined : invalidSender(from)) ??
    refusalOfRecipient(to)
  );
}

function refusalOfContent(parameters: FormParameters): ApiError | undefined {
  const to = firstValue(parameters, 'To');
  const from = firstValue(parameters, 'From');
  const body = firstValue(parameters, 'Body');
  const has = (name: string): boolean => firstValue(parameters, name) !== undefined;
  const statusCallback = firstValue(parameters, 'StatusCallback');
  if (to === undefined) return badRequest(21604, "A 'To' phone number is required.");
  if (from === undefined && !has('MessagingServiceSid')) {
    return badRequest(21603, "A 'From' phone number is required.");
  }
  if (body === undefined && !has('MediaUrl') && !has('ContentSid')) {
    return badRequest(21619, 'A text message body or media urls must be specified.');
  }
  if (body !== undefined && body.length > longestBody) {
    return badRequest(21617, 'The concatenated message body exceeds the 1600 character limit');
  }
  if (statusCallback !== undefined && !/^https?:\/\/[^/]/.test(statusCallback)) {
    return badRequest(21609, `The 'StatusCallback' URL ${statusCallback} is not a valid URL.`);
  }
  return undefined;
}

/** https://www.twilio.com/docs/errors/21910 */
function mixedChannels(from: string | undefined, to: string): ApiError | undefined {
  if (from === undefined || channelOf(from) === channelOf(to)) return undefined;
  return badRequest(21910, 'Invalid From and To pair. From and To should be of the same channel');
}

function refusalOfSender(sender: string, refusal: SenderRefusal | undefined): ApiError | undefined {
  if (refusal === undefined) return undefined;
  return { status: 400, message: `The sender ${sender} cannot send this message.`, ...refusal };
}

function invalidSender(from: string): ApiError | undefined {
  if (channelOf(from) !== 'sms') return undefined;
  return isSmsSender(from) ? magicSenders(from) : notASender(from);
}

function refusalOfRecipient(to: string): ApiError | undefined {
  const recipient = readRecipient(to);
  return recipient === undefined
    ? badRequest(21211, `Invalid 'To' Phone Number: ${to}`)
    : magicRecipients(recipient);
}

function notASender(from: string): ApiError {
  return badRequest(
    21212,
    `The 'From' number ${from} is not a valid phone number, shortcode, or alphanumeric sender ID.`,
  );
}

function magicSenders(from: string): ApiError | undefined {
  switch (from) {
    case '+15005550001':
      return notASender(from);
    case '+15005550007':
      return badRequest(
        21606,
        `The From phone number ${from} is not a valid, SMS-capable inbound phone number or short code for your account.`,
      );
    case '+15005550008':
      return { status: 429, code: 21611, message: 'SMS queue is full.' };
    default:
      return undefined;
  }
}

function magicRecipients(to: string): ApiError | undefined {
  switch (to) {
    case '+15005550001':
      return badRequest(21211, `The 'To' number ${to} is not a valid phone number.`);
    case '+15005550002':
      return badRequest(21612, `The 'To' phone number: ${to}, is not currently reachable via SMS or MMS.`);
    case '+15005550003':
      return badRequest(
        21408,
        `Permission to send an SMS has not been enabled for the region indicated by the 'To' number: ${to}.`,
      );
    case '+15005550004':
      return badRequest(21610, 'Attempt to send to unsubscribed recipient');
    case '+15005550009':
      return badRequest(21614, `'To' number is not a valid mobile number: ${to}`);
    default:
      return undefined;
  }
}

function badRequest(code: number, message: string): ApiError {
  return { status: 400, code, message };
}
