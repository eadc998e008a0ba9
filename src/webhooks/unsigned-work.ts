import { Injectable } from '@nestjs/common';
import type { Response } from 'express';
import { setTimeout as delay } from 'node:timers/promises';
import type { CallbackRequest } from './callback-request.js';

/** Between two answers to refused requests, in milliseconds, once there are many. */
const ANSWER_INTERVAL = 10;

/** How often in a row a refused request is answered at once after a quiet time. */
const ANSWERED_AT_ONCE = 20;

/** The longest that an answer waits, in milliseconds: clients do not wait forever, and proxies have few connections. */
const LONGEST_WAIT = 3_000;

/** But as many times as long as the request took, up to ten seconds: what takes that long is no mistake of a proxy's. */
const WAIT_FOR_COST = 125;
const LONGEST_WAIT_FOR_COST = 10_000;

/** After a forgery, checking rests for this many times as long as it took. */
const REST = 3;

/** Large requests that wait to be checked: 32 MiB at most. */
const MOST_WAITING = 500;

/** The connection of a body that is longer, or without an announced end, closes with the answer. */
const MOST_UNREAD_BYTES = 1024 * 1024;

/**
 * Bounds what requests without a valid signature cost the others, in this process, whatever their addresses: those can be
 * many. Small requests, as Twilio's are, are always checked at once; a valid one may come from the address of a forger.
 */
@Injectable()
export class UnsignedWork {
  private nextAnswerAt = -Infinity;
  private lastCheck = Promise.resolve();
  private waiting = 0;

  /**
   * Resolves when a refusal may be answered: what refused requests cost is a quarter of the time at most. Meanwhile nothing
   * more is read of its connection, so that a client has as many requests at work as connections.
   */
  async untilAnswerable(request: CallbackRequest, response: Response): Promise<void> {
    const isUnread = hasMuchUnread(request);
    if (isUnread) response.setHeader('Connection', 'close');
    const now = performance.now();
    const { milliseconds: cost = 0 } = request;
    const interval = Math.max(ANSWER_INTERVAL, cost * (1 + REST));
    const begin = Math.max(this.nextAnswerAt, now - ANSWERED_AT_ONCE * ANSWER_INTERVAL);
    const longest = Math.max(LONGEST_WAIT, Math.min(cost * WAIT_FOR_COST, LONGEST_WAIT_FOR_COST));
    this.nextAnswerAt = Math.min(begin + interval, now + longest);
    if (this.nextAnswerAt <= now) return;
    stopReading(request);
    await delay(this.nextAnswerAt - now);
    if (!isUnread) goOnReading(request);
  }

  /**
   * Checks one large request after the other, with a rest after each that fails: forgeries of any size take a quarter of the
   * time at most, and small requests are checked in between.
   * @param check finds what is wrong with the request.
   * @returns what it found, or `too_many` where too many wait.
   */
  async checkLarge<Result extends { readonly fault: string | null }>(
    check: () => Result,
  ): Promise<Result | 'too_many'> {
    if (this.waiting >= MOST_WAITING) return 'too_many';
    this.waiting += 1;
    const before = this.lastCheck;
    let next = () => {};
    this.lastCheck = new Promise((resolve) => {
      next = resolve;
    });
    await before;
    this.waiting -= 1;
    const startedAt = performance.now();
    let rest = REST;
    try {
      const result = check();
      if (result.fault === null) rest = 0;
      return result;
    } finally {
      if (rest === 0) setImmediate(next);
      else setTimeout(next, rest * (performance.now() - startedAt));
    }
  }
}

/** Also by the request itself, which would have its connection go on for the rest of its body. */
function stopReading(request: CallbackRequest): void {
  request.pause();
  request._read = () => undefined;
  request.socket.pause();
}

function goOnReading(request: CallbackRequest): void {
  Reflect.deleteProperty(request, '_read');
  request.socket.resume();
}

/** The rest of a small body is read and dropped, which keeps the connection. */
function hasMuchUnread({ headers, complete }: CallbackRequest): boolean {
  if (complete) return false;
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length']) > MOST_UNREAD_BYTES;
}
