import { Injectable } from '@nestjs/common';
import type { Response } from 'express';
import { setTimeout as delay } from 'node:timers/promises';
import type { CallbackRequest } from './callback-request.js';

/** The interval between answers to refused requests, in milliseconds, once there are many. */
const ANSWER_INTERVAL = 10;

/** How often in a row a refused request is answered at once after a quiet time. */
const ANSWERED_AT_ONCE = 20;

/** The maximum wait of an answer, in milliseconds: clients do not wait forever, and proxies have few connections. */
const LONGEST_WAIT = 3_000;

/**
 * An expensive request waits this many times as long as it took, up to ten seconds: a request that takes that long is
 * not a proxy's mistake.
 */
const WAIT_FOR_COST = 125;
const LONGEST_WAIT_FOR_COST = 10_000;

/** After a forgery, checking pauses for this many times as long as the check took. */
const REST = 3;

/** The maximum number of large requests that wait to be checked: at most 32 MiB. */
const MOST_WAITING = 500;

/** The connection of a body that is longer, or without an announced end, closes with the answer. */
const MOST_UNREAD_BYTES = 1024 * 1024;

/**
 * Bounds the cost that requests without a valid signature cause for others in this process, independent of their
 * addresses, which can be many. Small requests, like Twilio's, are always checked at once; a valid one may come from a
 * forger's address.
 */
@Injectable()
export class UnsignedWork {
  private nextAnswerAt = -Infinity;
  private lastCheck = Promise.resolve();
  private waiting = 0;

  /**
   * Resolves when a refusal may be answered, so that refused requests take at most a quarter of the time. Meanwhile
   * nothing more is read from the connection, so a client has at most one request at work per connection.
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
   * Checks large requests one after the other and pauses after each failure: forgeries of any size take at most a
   * quarter of the time, and small requests are checked in between.
   * @param check finds what is wrong with the request.
   * @returns the result of the check, or `too_many` if too many requests wait.
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

/**
 * Stops the connection and the request itself, which would otherwise resume the connection for the rest of its body.
 */
function stopReading(request: CallbackRequest): void {
  request.pause();
  request._read = () => undefined;
  request.socket.pause();
}

function goOnReading(request: CallbackRequest): void {
  Reflect.deleteProperty(request, '_read');
  request.socket.resume();
}

/** Whether much of the body is unread. The rest of a small body is read and dropped, which keeps the connection. */
function hasMuchUnread({ headers, complete }: CallbackRequest): boolean {
  if (complete) return false;
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length']) > MOST_UNREAD_BYTES;
}
