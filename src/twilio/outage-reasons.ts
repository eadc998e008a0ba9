import { types } from 'node:util';
import twilio from 'twilio';

/** Why an account cannot use Twilio. A closed list, because it is a metric label and part of the API. */
export const OUTAGE_REASONS = [
  'unreachable',
  'bad_token',
  'unknown_account',
  'account_suspended',
  'rate_limited',
  'not_configured',
] as const;

export type OutageReason = (typeof OUTAGE_REASONS)[number];

/** A failure that concerns the account as a whole, not one message. */
export interface AccountFailure {
  readonly reason: OutageReason;
  /** Twilio's error code, the HTTP status (`HTTP 503`) or the name of the network's error (`ECONNREFUSED`). */
  readonly code: string;
  /** How long Twilio asks to wait, in seconds. */
  readonly retryAfterSeconds: number | null;
}

interface Words {
  readonly meaning: string;
  readonly remedy: string;
}

const WORDS: Readonly<Record<OutageReason, Words>> = {
  unreachable: {
    meaning: 'Twilio cannot be reached, or does not answer.',
    remedy:
      'See whether status.twilio.com reports an incident. If not, let this host reach TWILIO_API_BASE_URL: DNS, firewall, proxy, certificates.',
  },
  bad_token: {
    meaning: 'Twilio rejects the auth token of the account.',
    remedy:
      'Copy the token from Console → Account → API keys & tokens to TWILIO_AUTH_TOKEN (for a subaccount: TWILIO_SUBACCOUNTS), and restart the service.',
  },
  unknown_account: {
    meaning: 'Twilio does not know the account.',
    remedy:
      'Correct TWILIO_ACCOUNT_SID (for a subaccount: TWILIO_SUBACCOUNTS) and TWILIO_API_BASE_URL, and restart the service.',
  },
  account_suspended: {
    meaning: 'Twilio has suspended or closed the account.',
    remedy: 'Look at the balance and the notices in the Twilio Console, or ask Twilio’s support.',
  },
  rate_limited: {
    meaning: 'Twilio reports too many requests, and accepts none.',
    remedy:
      'See what else uses the account, and lower WORKER_CONCURRENCY. The SMS are sent once Twilio accepts requests again.',
  },
  not_configured: {
    meaning: 'SMS wait for an account that is no longer configured.',
    remedy: 'Add the account and its token to TWILIO_SUBACCOUNTS, and restart the service.',
  },
};

/** Returns the meaning of a reason in a sentence, and what to do about it. */
export function outageInWords(reason: OutageReason): Words {
  return WORDS[reason];
}

export function isOutageReason(value: string | null): value is OutageReason {
  return OUTAGE_REASONS.some((reason) => reason === value);
}

/**
 * Codes of an account that is not active. Source: twilio.com/docs/api/errors/20005, …/10001 and …/90010. The HTTP
 * status is not documented.
 */
const INACTIVE_ACCOUNT_CODES: ReadonlySet<number> = new Set([20005, 10001, 90010]);

/** The credentials are wrong. Source: twilio.com/docs/api/errors/20003. */
const AUTHENTICATION_CODE = 20003;

/** Too many requests of the account. Source: twilio.com/docs/api/errors/20429. */
const TOO_MANY_REQUESTS_CODE = 20429;

/** HTTP 429 about one sender, whose queue is full: other senders work. Source: twilio.com/docs/api/errors/21611. */
const SENDER_QUEUE_FULL_CODE = 21611;

/** The parts of an HTTP answer that the rules below need. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
  /** Whether the URL names one message or template, which may be what Twilio does not know. */
  readonly isOfOneItem: boolean;
  readonly retryAfterSeconds: number | null;
}

/**
 * Determines what an answer says about the account.
 * @returns null if Twilio accepts its requests, undefined if the answer does not say.
 */
export function failureOfAnswer(answer: Answer): AccountFailure | null | undefined {
  const { status, body, isOfOneItem, retryAfterSeconds } = answer;
  const { code, message } = errorOf(answer);
  const reason = accountReason(status, code);
  if (reason !== null) {
    return { reason, code: code?.toString() ?? `HTTP ${status}`, retryAfterSeconds };
  }
  if (isFromAnotherHost(status, code, body) || status === 408 || status >= 500) {
    return { reason: 'unreachable', code: code?.toString() ?? `HTTP ${status}`, retryAfterSeconds: null };
  }
  if (status === 404 && isAboutMessagingService(message)) return null;
  if (status === 404 && !isOfOneItem) {
    return { reason: 'unknown_account', code: code?.toString() ?? 'HTTP 404', retryAfterSeconds: null };
  }
  return status === 404 || status === 403 ? undefined : null;
}

/** Determines what an unanswered request says. @returns undefined for an error of the program itself. */
export function failureOfError(error: unknown): AccountFailure | undefined {
  const code = errorCode(error);
  if (code === 'UNKNOWN' || code === 'ERR_CANCELED') return undefined;
  return { reason: 'unreachable', code, retryAfterSeconds: null };
}

/** Returns the name of a network error, e.g. `ECONNRESET`, else `UNKNOWN`. */
export function errorCode(error: unknown): string {
  // Not `instanceof`, which fails for Node's own errors in a VM context such as Jest's.
  const code = types.isNativeError(error) && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : 'UNKNOWN';
}

/**
 * Returns the reason if an answer rejects the account and not the message, so that the same request may succeed later.
 */
export function accountReason(
  status: number,
  code: number | undefined,
): Exclude<OutageReason, 'unreachable'> | null {
  if (code !== undefined && INACTIVE_ACCOUNT_CODES.has(code)) return 'account_suspended';
  if (status >= 500) return null;
  if (status === 401 || code === AUTHENTICATION_CODE) return 'bad_token';
  if (code === SENDER_QUEUE_FULL_CODE) return null;
  return status === 429 || code === TOO_MANY_REQUESTS_CODE ? 'rate_limited' : null;
}

/** Whether a 404 to a send is about the Messaging Service, not the account: it names the unknown one. */
export function isAboutMessagingService(message: unknown): boolean {
  return typeof message === 'string' && message.includes('/Services/');
}

/** Twilio's answers are JSON, and its errors have a code. Proxies and captive portals answer differently. */
function isFromAnotherHost(status: number, code: number | undefined, body: unknown): boolean {
  if (status < 300) return typeof body !== 'object';
  return status < 400 || code === undefined;
}

function errorOf({ status, body }: Answer): { readonly code: number | undefined; readonly message: string } {
  if (status < 400) return { code: undefined, message: '' };
  const { code, message } = new twilio.RestException({ statusCode: status, body });
  return { code, message };
}
