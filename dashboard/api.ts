import { askForKey, isRefusedNevertheless, sessionIsGood } from './session.js';
import { serviceClock } from './service-clock.js';

/** As long as a person will wait, and longer than the service takes when its database answers. */
const ANSWER_LIMIT_MILLISECONDS = 20_000;

/** The session has ended, or its key was removed. */
export class SignedOut extends Error {
  override readonly name = 'SignedOut';
}

/** The service cannot answer or refuses to. The message is fit to show. */
export class Problem extends Error {
  override readonly name = 'Problem';

  constructor(
    message: string,
    /** The HTTP status; 0 without an answer. */
    readonly status: number,
  ) {
    super(message);
  }
}

export interface Asking {
  readonly method?: 'GET' | 'POST';
  /** Sent as JSON. */
  readonly body?: Readonly<Record<string, unknown>>;
  /** Aborts when the answer is no longer needed. */
  readonly signal?: AbortSignal;
}

/**
 * Calls the API with the session cookie.
 * @param path relative to the page, e.g. `api/v1/queue`: both are below the same prefix.
 * @throws SignedOut
 * @throws Problem also when there is no answer within 20 seconds.
 * @throws DOMException the signal's reason, once it is aborted.
 */
export async function ask<Answer>(path: string, asking: Asking = {}): Promise<Answer> {
  const { status, ok, body } = await exchange(path, asking);
  // After ten requests without a valid key, the service answers 429 instead of 401 for a while.
  if (status === 401 || (status === 429 && isRefusedNevertheless())) throw new SignedOut();
  if (!ok || body === null) throw new Problem(messageOf(body) ?? `The service answered ${status}.`, status);
  sessionIsGood();
  return body as Answer;
}

interface Exchange {
  readonly status: number;
  readonly ok: boolean;
  /** Null if it is not JSON, e.g. when a proxy answers. */
  readonly body: unknown;
}

async function exchange(path: string, { method = 'GET', body, signal }: Asking): Promise<Exchange> {
  const limit = AbortSignal.timeout(ANSWER_LIMIT_MILLISECONDS);
  const sent = body && { body: JSON.stringify(body) };
  try {
    const response = await fetch(path, {
      method,
      headers: { Accept: 'application/json', ...(sent && { 'Content-Type': 'application/json' }) },
      ...sent,
      signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
    });
    serviceClock.told(response.headers.get('Date'));
    return { status: response.status, ok: response.ok, body: fromJson(await response.text()) };
  } catch (error) {
    if (signal?.aborted === true) throw error;
    throw new Problem(
      limit.aborted
        ? `The service has not answered for ${ANSWER_LIMIT_MILLISECONDS / 1000} seconds.`
        : 'The service cannot be reached.',
      0,
    );
  }
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

/** Nest's errors have one message, or one per parameter. */
function messageOf(body: unknown): string | null {
  if (typeof body !== 'object' || body === null || !('message' in body)) return null;
  return Array.isArray(body.message) ? body.message.join(' ') : String(body.message);
}

/** @returns the text to show; when the session has ended, the sign-in form replaces the page. */
export function explain(error: unknown): string {
  if (error instanceof SignedOut) return askForKey();
  if (error instanceof Problem) return error.message;
  throw error;
}
