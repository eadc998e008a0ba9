import { setTimeout as pause } from 'node:timers/promises';
import { parseConnectionOverrides } from './connection-overrides.js';
import type { CallbackFailure, ConnectionOverrides } from './connection-overrides.js';
import type { FormParameters } from './form-parameters.js';
import { ConnectionPool, NoAnswerError, post } from './http-post.js';
import type { HttpAnswer } from './http-post.js';
import { signRequest } from './signed-request.js';
import type { SignedRequest, UnsignedCallback } from './signed-request.js';

/** One HTTP request of a callback: a retry is another one, with the same idempotency token. */
export interface CallbackAttempt {
  /** The public URL, as signed. */
  readonly url: string;
  readonly parameters: FormParameters;
  /** 1 for the first, 2 for its first retry, … */
  readonly attempt: number;
  readonly idempotencyToken: string;
  /** The start time. */
  readonly time: Date;
  /** The HTTP status of the answer; undefined without an answer. */
  readonly status?: number;
  /** Undefined for an answer below 400. */
  readonly failure?: CallbackFailure;
  /** Why no answer came. */
  readonly error?: string;
}

export interface Callback extends UnsignedCallback {
  /** Changes the request after it has been signed: another body, another header, no signature. */
  readonly tamper?: (request: SignedRequest) => SignedRequest;
}

export interface CallbackSenderOptions {
  /**
   * Maps the public URL to the URL on which the service listens, as ngrok and other proxies do: Host and X-Forwarded-*
   * carry the public host. Default: the public URL itself.
   */
  readonly rewriteUrl?: (url: string) => string;
  /** Milliseconds for a callback with all its retries; default 15000, Twilio's. */
  readonly totalMilliseconds?: number;
  /** Milliseconds before each retry; default 250. Twilio's pause is not documented. */
  readonly retryPauseMilliseconds?: number;
  /** Keep connections to the service open between callbacks (for load); default false. */
  readonly keepConnectionsOpen?: boolean;
  readonly onAttempt?: (attempt: CallbackAttempt) => void;
}

/** Sends signed callbacks, and retries them as the fragment of their URL asks. */
export class CallbackSender {
  readonly #options: CallbackSenderOptions;
  readonly #pool: ConnectionPool;
  readonly #underWay = new Set<AbortController>();

  constructor(options: CallbackSenderOptions = {}) {
    this.#options = options;
    this.#pool = new ConnectionPool(options.keepConnectionsOpen ?? false);
  }

  /**
   * Sends a callback and returns the last answer, with any status.
   * @throws {NoAnswerError} if the last attempt got no answer
   */
  async send(callback: Callback): Promise<HttpAnswer> {
    const signed = signRequest(callback);
    const request = callback.tamper?.(signed) ?? signed;
    const overrides = parseConnectionOverrides(callback.url);
    const limit = new AbortController();
    const total = Math.min(overrides.totalTimeoutMilliseconds, this.#options.totalMilliseconds ?? 15_000);
    const timer = setTimeout(() => {
      limit.abort();
    }, total);
    this.#underWay.add(limit);
    try {
      return await this.#sendUntilAnswered(request, callback.parameters, overrides, limit.signal);
    } finally {
      clearTimeout(timer);
      this.#underWay.delete(limit);
    }
  }

  /** Ends all running requests; their `send` rejects. */
  close(): void {
    for (const limit of this.#underWay) limit.abort();
    this.#pool.close();
  }

  async #sendUntilAnswered(
    request: SignedRequest,
    parameters: FormParameters,
    overrides: ConnectionOverrides,
    signal: AbortSignal,
  ): Promise<HttpAnswer> {
    for (let attempt = 1; ; attempt += 1) {
      const time = new Date();
      const result = await this.#attempt(request, overrides, signal);
      const failure = failureOf(result);
      this.#options.onAttempt?.({
        url: request.url,
        parameters,
        attempt,
        idempotencyToken: request.headers['i-twilio-idempotency-token'] ?? '',
        time,
        failure,
        ...(result instanceof NoAnswerError ? { error: result.message } : { status: result.status }),
      });
      const retry = failure !== undefined && overrides.retryPolicy.includes(failure);
      if (!retry || attempt > overrides.retryCount || !(await this.#pauseBeforeRetry(signal))) {
        if (result instanceof NoAnswerError) throw result;
        return result;
      }
    }
  }

  async #attempt(
    request: SignedRequest,
    overrides: ConnectionOverrides,
    signal: AbortSignal,
  ): Promise<HttpAnswer | NoAnswerError> {
    const url = this.#options.rewriteUrl?.(request.url) ?? request.url;
    const headers = url === request.url ? request.headers : { ...forwarded(request.url), ...request.headers };
    try {
      return await post({ ...overrides, url, headers, body: request.body, signal, agent: this.#pool });
    } catch (error) {
      if (error instanceof NoAnswerError) return error;
      throw error;
    }
  }

  /** Returns false if the total time is over. */
  async #pauseBeforeRetry(signal: AbortSignal): Promise<boolean> {
    await pause(this.#options.retryPauseMilliseconds ?? 250, undefined, { signal }).catch(() => undefined);
    return !signal.aborted;
  }
}

function failureOf(result: HttpAnswer | NoAnswerError): CallbackFailure | undefined {
  if (result instanceof NoAnswerError) return result.failure;
  if (result.status >= 500) return '5xx';
  return result.status >= 400 ? '4xx' : undefined;
}

function forwarded(publicUrl: string): Record<string, string> {
  const { host, protocol } = new URL(publicUrl);
  return {
    Host: host,
    'X-Forwarded-Host': host,
    'X-Forwarded-Proto': protocol.replace(':', ''),
    'X-Forwarded-For': '203.0.113.1',
  };
}
