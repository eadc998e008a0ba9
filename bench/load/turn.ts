/** One task of the load generator. */
export interface Turn {
  readonly port: number;
  readonly connections: number;
  readonly milliseconds: number;
  /** `kept`: each connection carries one request after the other. `new`: each request has a connection of its own. */
  readonly mode: ConnectionMode;
  /**
   * Whether callbacks are sent again once all have been sent: only if nothing is stored, since a repeat is less work
   * than a new row. Otherwise the turn ends then.
   */
  readonly mayRepeat: boolean;
  /** The index of the first callback that is sent. Default 0. */
  readonly firstIndex?: number;
  /** Requests a second, evenly spaced. Default: each connection sends the next one as soon as it has its answer. */
  readonly requestsPerSecond?: number;
}

export type ConnectionMode = 'kept' | 'new';

export interface TurnResult {
  /** The time from the first request to the last answer. */
  readonly milliseconds: number;
  /** The number of answers by HTTP status. */
  readonly answers: ReadonlyMap<number, number>;
  /** The indices of the callbacks that were answered 204. */
  readonly acknowledged: Uint32Array;
  /**
   * The time from a request, or from the start of its connection, to its answer, in milliseconds. At a set rate, it
   * starts when the request was due, if that had to wait for a connection.
   */
  readonly latency: { readonly p50: number; readonly p99: number };
}

/** A message from the load generator's process. */
export type LoadMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'result'; readonly result: TurnResult }
  | { readonly type: 'failed'; readonly message: string };
