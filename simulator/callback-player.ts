import { setMaxListeners } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { statusParametersOf } from './callback-parameters.js';
import type { CallbackPlan, CallbackStep } from './callback-plan.js';
import { NoAnswerError } from './http-post.js';
import type { MessageStore } from './message-store.js';
import type { SimulatedMessage } from './message.js';
import type { SendCallbackOptions } from './simulator-types.js';

/** Plays the plans of messages on time, and knows when all are done. */
export class CallbackPlayer {
  readonly #playing = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  constructor(
    private readonly store: MessageStore,
    private readonly sendCallback: (callback: SendCallbackOptions) => Promise<unknown>,
  ) {
    // Every pause of every message listens.
    setMaxListeners(0, this.#closing.signal);
  }

  /**
   * Resolves when the message's last callback has been answered or given up, or when the player is closed.
   * @param after the first step waits for it
   */
  play(message: SimulatedMessage, plan: CallbackPlan, after?: Promise<void>): Promise<void> {
    const playing = this.#run(message, plan(message), after).finally(() => this.#playing.delete(playing));
    this.#playing.add(playing);
    return playing;
  }

  /** Resolves when no step and no callback is pending. */
  async settled(): Promise<void> {
    while (this.#playing.size > 0) await Promise.all(this.#playing);
  }

  close(): void {
    this.#closing.abort();
  }

  async #run(
    message: SimulatedMessage,
    steps: readonly CallbackStep[],
    after: Promise<void> | undefined,
  ): Promise<void> {
    const underWay: Promise<void>[] = [];
    await after;
    for (const step of steps) {
      if (!(await this.#waited(step.delayMilliseconds ?? 0))) break;
      this.store.advance(message.sid, step);
      const sent = this.#send(message, step);
      if (step.concurrent === true) underWay.push(sent);
      else await sent;
    }
    await Promise.all(underWay);
  }

  async #send(message: SimulatedMessage, step: CallbackStep): Promise<void> {
    const url = message.statusCallback;
    if (url === undefined || step.dropped === true) return;
    try {
      await this.sendCallback({ url, parameters: statusParametersOf(message, step) });
    } catch (error) {
      // There was no answer: that is recorded as an attempt, and the message continues anyway.
      if (!(error instanceof NoAnswerError)) throw error;
    }
  }

  /** Returns false if the player was closed meanwhile. */
  async #waited(milliseconds: number): Promise<boolean> {
    const { signal } = this.#closing;
    if (milliseconds > 0) await pause(milliseconds, undefined, { signal }).catch(() => undefined);
    return !signal.aborted;
  }
}
