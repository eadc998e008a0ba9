import { setTimeout as delay } from 'node:timers/promises';
import { WEBHOOK_PATH } from '../account.js';
import { quantile } from '../report/statistics.js';
import { CallbackConnection } from './callback-connection.js';
import type { Turn, TurnResult } from './turn.js';

/** What an answer may take: a turn never hangs. */
const ANSWER_LIMIT_MILLISECONDS = 20_000;

const REQUEST_LINES = {
  kept: Buffer.from(`POST ${WEBHOOK_PATH} HTTP/1.1\r\n`),
  new: Buffer.from(`POST ${WEBHOOK_PATH} HTTP/1.1\r\nConnection: close\r\n`),
} as const;

/** Requests as bytes; the same ones in every turn, so that no turn has to sign any. */
export class Callbacks {
  readonly #kept: readonly Buffer[];

  constructor(callbacks: readonly Buffer[]) {
    this.#kept = callbacks.map((callback) => Buffer.concat([REQUEST_LINES.kept, callback]));
  }

  get count(): number {
    return this.#kept.length;
  }

  request(index: number, mode: Turn['mode']): Buffer {
    const kept = this.#kept[index];
    if (kept === undefined) throw new RangeError(`There is no callback ${index}`);
    return mode === 'kept'
      ? kept
      : Buffer.concat([REQUEST_LINES.new, kept.subarray(REQUEST_LINES.kept.length)]);
  }
}

class Record {
  readonly acknowledged: number[] = [];
  readonly answers = new Map<number, number>();
  readonly latencies: number[] = [];
  #next = 0;

  constructor(
    private readonly turn: Turn,
    private readonly callbacks: Callbacks,
    private readonly endsAt: number,
  ) {}

  /** @returns the index of the next callback, or undefined where the turn is over. */
  next(): number | undefined {
    if (performance.now() >= this.endsAt) return undefined;
    if (this.#next === this.callbacks.count) {
      if (!this.turn.mayRepeat) return undefined;
      this.#next = 0;
    }
    return this.#next++;
  }

  add(index: number, status: number, milliseconds: number): void {
    if (status === 204) this.acknowledged.push(index);
    this.answers.set(status, (this.answers.get(status) ?? 0) + 1);
    this.latencies.push(milliseconds);
  }
}

export async function runTurn(turn: Turn, callbacks: Callbacks): Promise<TurnResult> {
  const connections =
    turn.mode === 'kept'
      ? await Promise.all(Array.from({ length: turn.connections }, () => CallbackConnection.open(turn.port)))
      : Array.from({ length: turn.connections }, () => undefined);
  const startedAt = performance.now();
  const record = new Record(turn, callbacks, startedAt + turn.milliseconds);
  try {
    const sending = connections.map((connection) => send(turn, callbacks, record, connection));
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
    latency: { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) },
  };
}

/** One request after the other, on this connection, or on a new one each. */
async function send(
  turn: Turn,
  callbacks: Callbacks,
  record: Record,
  kept: CallbackConnection | undefined,
): Promise<void> {
  for (let index = record.next(); index !== undefined; index = record.next()) {
    const request = callbacks.request(index, turn.mode);
    const sentAt = performance.now();
    const connection = kept ?? (await CallbackConnection.open(turn.port));
    const status = await connection.send(request);
    record.add(index, status, performance.now() - sentAt);
    if (kept === undefined) connection.close();
  }
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
