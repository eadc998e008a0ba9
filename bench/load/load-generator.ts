import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { LoadMessage, Turn, TurnResult } from './run-turn.js';

/** The process that sends the callbacks. It only writes bytes and finds the ends of answers. */
export class LoadGenerator {
  private constructor(private readonly child: ChildProcess) {}

  /** @param callbacks how many distinct callbacks it signs. @param kind policy failures, or other callbacks. */
  static async start(
    callbacks: number,
    kind: 'callbacks' | 'failures' = 'callbacks',
  ): Promise<LoadGenerator> {
    const program = fileURLToPath(new URL('main.js', import.meta.url));
    const child = fork(program, [String(callbacks), kind], { serialization: 'advanced', detached: true });
    const generator = new LoadGenerator(child);
    await generator.#nextMessage();
    return generator;
  }

  /** @throws if a connection broke or a request was not answered. */
  async run(turn: Turn): Promise<TurnResult> {
    const answer = this.#nextMessage();
    this.child.send(turn);
    const message = await answer;
    if (message.type === 'result') return message.result;
    throw new Error(message.type === 'failed' ? message.message : 'The load generator started again');
  }

  async close(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
  }

  async #nextMessage(): Promise<LoadMessage> {
    const settled = new AbortController();
    const { signal } = settled;
    try {
      return await Promise.race([
        once(this.child, 'message', { signal }).then(([message]) => message as LoadMessage),
        once(this.child, 'exit', { signal }).then(() => {
          throw new Error('The load generator has ended');
        }),
      ]);
    } finally {
      settled.abort();
    }
  }
}
