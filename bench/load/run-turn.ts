import { setTimeout as delay } from 'node:timers/promises';
import { REQUEST_LINES } from '../callbacks.js';
import { quantile } from '../report/statistics.js';
import { CallbackConnection } from './callback-connection.js';

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
  /** The maximum number of callbacks. Default: as many as there are. */
  readonly limit?: number;
  /** Requests a second, evenly spaced. Default: each connection sends the next one as soon as it has its answer. */
  readonly requestsPerSecond?: number;
  /**
   * After how many milliseconds a request counts as `UNANSWERED`, as also if its connection breaks. Default: the turn
   * fails.
   */
  readonly patience?: number;
}

/** The status of a request without an answer. */
export const UNANSWERED = 0;

export type ConnectionMode = 'kept' | 'new';

export interface TurnResult {
  /** The time from the first request to the last answer. */
  readonly milliseconds: number;
  /** The number of answers by HTTP status. */
  readonly answers: ReadonlyMap<number, number>;
  /** The indices of the callbacks that were answered 204. */
  readonly acknowledged: Uint32Array;
  /** When each of them was sent, in milliseconds since 1970. */
  readonly sentAt: Float64Array;
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

/** The time limit of an answer, so that a turn never hangs. */
const ANSWER_LIMIT_MILLISECONDS = 20_000;

/** The size of a shared buffer in bytes. A Buffer object for each callback would double the memory. */
const SLAB = 16 * 1024 * 1024;

/** Requests as bytes, signed before the first turn. */
export class Callbacks {
  readonly #slabs: Buffer[] = [];
  readonly #places: { readonly slab: Uint16Array; readonly start: Uint32Array; readonly end: Uint32Array };

  /** @param callbackOf makes a callback without its request line. */
  constructor(
    readonly count: number,
    callbackOf: (index: number) => Buffer,
  ) {
    this.#places = {
      slab: new Uint16Array(count),
      start: new Uint32Array(count),
      end: new Uint32Array(count),
    };
    let used = SLAB;
    for (let index = 0; index < count; index += 1) {
      const callback = callbackOf(index);
      const length = REQUEST_LINES.kept.length + callback.length;
      if (used + length > SLAB) {
        this.#slabs.push(Buffer.allocUnsafeSlow(SLAB));
        used = 0;
      }
      const slab = this.#slabs.length - 1;
      this.#slabs[slab]?.set(REQUEST_LINES.kept, used);
      this.#slabs[slab]?.set(callback, used + REQUEST_LINES.kept.length);
      this.#places.slab[index] = slab;
      this.#places.start[index] = used;
      used += length;
      this.#places.end[index] = used;
    }
  }

  request(index: number, mode: Turn['mode']): Buffer {
    const { slab, start, end } = this.#places;
    const kept = this.#slabs[slab[index] ?? -1]?.subarray(start[index], end[index]);
    if (kept === undefined) throw new RangeError(`There is no callback ${index}`);
    return mode === 'kept'
      ? kept
      : Buffer.concat([REQUEST_LINES.new, kept.subarray(REQUEST_LINES.kept.length)]);
  }
}

/** The next callback and its time on the clock of `performance.now()`; null: at once. */
interface Planned {
  readonly index: number;
  readonly dueAt: number | null;
}

class Record {
  readonly acknowledged: number[] = [];
  readonly sentAt: number[] = [];
  readonly answers = new Map<number, number>();
  readonly latencies: number[] = [];
  #sent = 0;

  constructor(
    private readonly turn: Turn,
    private readonly callbacks: Callbacks,
    private readonly startedAt: number,
  ) {}

  /** @returns undefined if the turn is over. */
  next(): Planned | undefined {
    const { milliseconds, mayRepeat, firstIndex = 0, limit = Infinity, requestsPerSecond } = this.turn;
    if (this.#sent >= limit) return undefined;
    const dueAt =
      requestsPerSecond === undefined ? null : this.startedAt + (this.#sent / requestsPerSecond) * 1000;
    if ((dueAt ?? performance.now()) >= this.startedAt + milliseconds) return undefined;
    const index = firstIndex + this.#sent;
    if (index >= this.callbacks.count && !mayRepeat) return undefined;
    this.#sent += 1;
    return { index: index % this.callbacks.count, dueAt };
  }

  add(index: number, status: number, milliseconds: number): void {
    if (status === 204) {
      this.acknowledged.push(index);
      this.sentAt.push(performance.timeOrigin + performance.now() - milliseconds);
    }
    this.answers.set(status, (this.answers.get(status) ?? 0) + 1);
    this.latencies.push(milliseconds);
  }
}

export async function runTurn(turn: Turn, callbacks: Callbacks): Promise<TurnResult> {
  const connections: (CallbackConnection | undefined)[] =
    turn.mode === 'kept'
      ? await Promise.all(Array.from({ length: turn.connections }, () => CallbackConnection.open(turn.port)))
      : Array.from({ length: turn.connections }, () => undefined);
  const startedAt = performance.now();
  const record = new Record(turn, callbacks, startedAt);
  try {
    const sending = connections.map((_, position) => send(turn, callbacks, record, connections, position));
    await withinLimit(Promise.all(sending), turn.milliseconds + ANSWER_LIMIT_MILLISECONDS);
  } finally {
    for (const connection of connections) connection?.close();
  }
  const milliseconds = performance.now() - startedAt;
  const sorted = record.latencies.sort((left, right) => left - right);
  return {
    milliseconds,
    answers: record.answers,
    acknowledged: Uint32Array.from(record.acknowledged),
    sentAt: Float64Array.from(record.sentAt),
    latency: { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) },
  };
}

/** Sends one request after the other, on the connection at this position or on a new one each. */
async function send(
  turn: Turn,
  callbacks: Callbacks,
  record: Record,
  connections: (CallbackConnection | undefined)[],
  position: number,
): Promise<void> {
  for (let planned = record.next(); planned !== undefined; planned = record.next()) {
    const { index, dueAt } = planned;
    const request = callbacks.request(index, turn.mode);
    const since = await untilDue(dueAt);
    const kept = connections[position];
    const connection = kept ?? (await CallbackConnection.open(turn.port));
    const status = await answerOf(connection.send(request), turn.patience);
    record.add(index, status, performance.now() - since);
    if (kept === undefined || status === UNANSWERED) connection.close();
    if (kept !== undefined && status === UNANSWERED) {
      connections[position] = await CallbackConnection.open(turn.port);
    }
  }
}

/** @returns the answer's status. */
function answerOf(answer: Promise<number>, patience: number | undefined): Promise<number> {
  if (patience === undefined) return answer;
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, patience, UNANSWERED);
    const settle = (status: number): void => {
      clearTimeout(timer);
      resolve(status);
    };
    answer.then(settle, () => {
      settle(UNANSWERED);
    });
  });
}

/** @returns the start of the latency, which includes the wait for a connection. */
async function untilDue(dueAt: number | null): Promise<number> {
  const now = performance.now();
  if (dueAt === null) return now;
  if (dueAt <= now) return dueAt;
  await delay(dueAt - now);
  return performance.now();
}

async function withinLimit(work: Promise<unknown>, milliseconds: number): Promise<void> {
  const limit = new AbortController();
  const tooLong = delay(milliseconds, undefined, { signal: limit.signal }).then(() => {
    throw new Error(`A request was not answered within ${ANSWER_LIMIT_MILLISECONDS} ms`);
  });
  try {
    await Promise.race([work, tooLong]);
  } finally {
    limit.abort();
    tooLong.catch(() => undefined);
  }
}
