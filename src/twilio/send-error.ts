import { types } from 'node:util';
import twilio from 'twilio';
import { UnknownTwilioAccountError } from './twilio-accounts.js';
import { TwilioRateLimitedError } from './api-request-client.js';
import { accountReason, errorCode, isAboutMessagingService } from './outage-reasons.js';

/**
 * The outcome of a send request that did not succeed:
 * - `rejected`: Twilio will never send this message;
 * - `not_processed`: Twilio did not accept it, so it may be sent again;
 * - `ambiguous`: it may have been accepted; sending again could send it twice.
 */
export type SendOutcome = 'rejected' | 'not_processed' | 'ambiguous';

export interface SendError {
  readonly outcome: SendOutcome;
  /** Twilio's error code, the HTTP status (`HTTP 500`) or the name of the network's error (`ECONNRESET`). */
  readonly code: string;
  readonly message: string;
  /** How long Twilio asks to wait, in seconds. */
  readonly retryAfterSeconds: number | null;
}

/** Twilio's error codes of temporary causes. Source: the error pages at twilio.com/docs/api/errors. */
const RETRYABLE_CODES: ReadonlySet<number> = new Set([
  20429, // too many requests
  21611, // the sender's queue is full
  30001, // queue overflow
  30017, // carrier congestion
]);

/**
 * Twilio's error codes of a sender, or an account, that sends too fast.
 * Source: the error pages at twilio.com/docs/api/errors.
 */
const TOO_FAST_CODES: ReadonlySet<string> = new Set([
  '20429', // too many requests
  '21611', // the sender's queue is full
  '30001', // queue overflow
]);

/** Whether an error code says that the sender sends too fast. */
export function isTooFastCode(code: string): boolean {
  return TOO_FAST_CODES.has(code);
}

/** Whether Twilio refused the request because the sender sends too fast. Only a 429 has a Retry-After. */
export function isTooFast({ outcome, code, retryAfterSeconds }: SendError): boolean {
  return outcome === 'not_processed' && (isTooFastCode(code) || retryAfterSeconds !== null);
}

/**
 * Twilio's error codes that another sender may avoid. An opt-out (21610) is not among them: it is final.
 * Source: the error pages at twilio.com/docs/api/errors.
 */
const SENDER_CODES: ReadonlySet<string> = new Set([
  '21212', // the sender is not a valid number
  '21266', // sender and recipient are the same number
  '21606', // the sender cannot send SMS
  '21607', // a trial account does not own the sender
  '21612', // the recipient cannot be reached from this sender
  '21659', // the sender is not a Twilio number
  '21660', // the sender belongs to another account
  '21661', // the sender cannot send SMS
  '21910', // sender and recipient are of different channels
]);

/** Whether the sender caused the rejection, so that another sender may succeed. */
export function isSendersFault({ outcome, code }: SendError): boolean {
  return outcome === 'rejected' && SENDER_CODES.has(code);
}

/** The person has opted out of the sender's SMS. Source: twilio.com/docs/api/errors/21610. */
const OPTED_OUT = '21610';

/**
 * Twilio's error codes of a recipient that can never receive SMS, whoever sends it.
 * Source: the error pages at twilio.com/docs/api/errors.
 */
const RECIPIENT_CODES: ReadonlySet<string> = new Set([
  '21211', // not a valid phone number
  '21265', // a short code
  '21614', // not a mobile number
  '21635', // a landline
]);

/** Whether a rejection with this code is final: the person has opted out, or the number cannot receive SMS. */
export function finalRejection(code: string | null): 'opted_out' | 'recipient_rejected' | null {
  if (code === OPTED_OUT) return 'opted_out';
  return code !== null && RECIPIENT_CODES.has(code) ? 'recipient_rejected' : null;
}

/** HTTP statuses of a proxy between this host and Twilio, unless they come with a Twilio code. */
const PROXY_STATUSES: ReadonlySet<number> = new Set([403, 405, 407]);

/** Network errors that occur before a request is sent. Any other may occur after it was processed. */
export const CONNECTION_ERRORS: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_HAS_EXPIRED',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

/** Not `instanceof`, which fails for Node's own errors in a VM context such as Jest's. */
const { isNativeError } = types;

/** Classifies an error of `messages.create`. An unknown error is ambiguous. */
export function classifySendError(error: unknown): SendError {
  if (error instanceof TwilioRateLimitedError) {
    return sendError('not_processed', error.code, error.message, error.retryAfterSeconds);
  }
  if (error instanceof UnknownTwilioAccountError) {
    return sendError('not_processed', 'UNKNOWN_ACCOUNT', error.message);
  }
  if (error instanceof twilio.RestException) {
    return sendError(outcomeOf(error), error.code?.toString() ?? `HTTP ${error.status}`, error.message);
  }
  const code = errorCode(error);
  const outcome = CONNECTION_ERRORS.has(code) ? 'not_processed' : 'ambiguous';
  return sendError(outcome, code, isNativeError(error) ? error.message : String(error));
}

function outcomeOf({ status, code, message }: twilio.RestException): SendOutcome {
  if (status >= 500) return 'ambiguous';
  // The operator can correct a wrong token, and a 429 passes with time.
  if (accountReason(status, code) !== null || (code !== undefined && RETRYABLE_CODES.has(code)))
    return 'not_processed';
  if (status === 429 || (code === undefined && PROXY_STATUSES.has(status))) return 'not_processed';
  if (status === 404) return isAboutMessagingService(message) ? 'rejected' : 'not_processed';
  // 408 is a timeout by another name; a redirect does not answer a POST.
  return status === 408 || status < 400 ? 'ambiguous' : 'rejected';
}

function sendError(
  outcome: SendOutcome,
  code: string,
  message: string | undefined,
  retryAfterSeconds: number | null = null,
): SendError {
  return { outcome, code, message: message ?? `Twilio gives no reason (${code})`, retryAfterSeconds };
}
