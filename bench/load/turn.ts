/** What the load generator is asked to do. */
export interface Turn {
  readonly port: number;
  readonly connections: number;
  readonly milliseconds: number;
  /** `kept`: each connection carries one request after the other. `new`: each request has a connection of its own. */
  readonly mode: ConnectionMode;
  /**
   * Whether a callback may be sent again once all have been sent: only where nothing is stored, since a repeat is less
   * work than a new row. Elsewhere the turn ends then.
   */
  readonly mayRepeat: boolean;
  /** The index of the first callback that is sent. Default 0. */
  readonly firstIndex?: number;
  /** Requests a second, evenly. Where it is left out, each connection sends the next one as soon as it has its answer. */
  readonly requestsPerSecond?: number;
}

export type ConnectionMode = 'kept' | 'new';

export interface TurnResult {
  /** From the first request to the last answer. */
  readonly milliseconds: number;
  /** How many answers had which HTTP status. */
  readonly answers: ReadonlyMap<number, number>;
  /** The indices of the callbacks that were answered 204. */
  readonly acknowledged: Uint32Array;
  /**
   * From a request, or from the start of its connection, to its answer; in milliseconds. At a set rate from the moment at
   * which it was due, where it had to wait for a connection.
   */
  readonly latency: { readonly p50: number; readonly p99: number };
}

/** From the load generator's process. */
export type LoadMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'result'; readonly result: TurnResult }
  | { readonly type: 'failed'; readonly message: string };
