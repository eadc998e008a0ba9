import type { ApiError } from './api-errors.js';
import type { ApiRequest } from './api-request.js';

/** A fault of any request: nothing is done, and the answer is an error or missing. */
export type RequestFault =
  /** This error. `message` has a default. */
  | ({ readonly type: 'error'; readonly message?: string } & Omit<ApiError, 'message'>)
  /** The connection is reset: the client sees ECONNRESET. */
  | { readonly type: 'resetBeforeAccepting' }
  /** Never answered; the connection stays open until the client or `close()` ends it. */
  | { readonly type: 'hangBeforeAccepting' };

/** A fault of a create whose message Twilio has accepted and will send. */
export type AcceptedFault =
  | { readonly type: 'errorAfterAccepting'; readonly status?: number; readonly code?: number }
  | { readonly type: 'resetAfterAccepting' }
  | { readonly type: 'hangAfterAccepting' }
  /** Not a fault of Twilio: every callback of the message comes before the answer to its create. */
  | { readonly type: 'answerAfterCallbacks' };

export type Fault = RequestFault | AcceptedFault;

/** Which of the next requests go wrong, and how. */
export type FaultRule = {
  /** How many requests; default 1, Infinity for all. */
  readonly times?: number;
  /** Selects the requests; default: every one. */
  readonly when?: (request: ApiRequest) => boolean;
} & (
  | { readonly on: 'create'; readonly fault: Fault }
  /** `any`: every request, with any credentials. */
  | { readonly on: 'fetch' | 'list' | 'any'; readonly fault: RequestFault }
);

/** The rules that still have requests to fail, oldest first; the first match gives a request its fault. */
export class FaultQueue {
  #rules: { readonly rule: FaultRule; left: number }[] = [];

  add(rule: FaultRule): void {
    this.#rules.push({ rule, left: rule.times ?? 1 });
  }

  take(operation: 'create', request: ApiRequest): Fault | undefined;
  take(operation: 'fetch' | 'list' | 'any', request: ApiRequest): RequestFault | undefined;
  take(operation: FaultRule['on'], request: ApiRequest): Fault | undefined {
    const found = this.#rules.find(({ rule }) => rule.on === operation && (rule.when?.(request) ?? true));
    if (found === undefined) return undefined;
    found.left -= 1;
    if (found.left <= 0) this.#rules = this.#rules.filter((entry) => entry !== found);
    return found.rule.fault;
  }

  clear(): void {
    this.#rules = [];
  }
}
