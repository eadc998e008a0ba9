import type { INestApplicationContext } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { isOpen, SMS_FALLBACK_STATES, type SmsFallbackState } from '../src/fallback/sms-fallback-state.js';
import { SmsFallback } from '../src/fallback/sms-fallback.entity.js';
import { DATA_SOURCE_TOKEN } from '../src/process/inject-database.js';

/** What a fallback has come to. */
export type Fallback = Readonly<
  Pick<
    SmsFallback,
    | 'id'
    | 'originalMessageSid'
    | 'accountSid'
    | 'state'
    | 'reason'
    | 'attempts'
    | 'toNumber'
    | 'fromNumber'
    | 'messagingServiceSid'
    | 'body'
    | 'smsMessageSid'
    | 'lastErrorCode'
    | 'lastError'
    | 'createdAt'
    | 'sentAt'
  >
>;

export interface UntilFallbackOptions {
  /** The state, or one of the states, to wait for; default: an end (sent, skipped, failed). */
  readonly state?: SmsFallbackState | readonly SmsFallbackState[];
  /** Default 4500: less than the five seconds after which Jest and Vitest end a test. */
  readonly timeoutMilliseconds?: number;
}

const ENDS = SMS_FALLBACK_STATES.filter((state) => !isOpen(state));

const POLL_MILLISECONDS = 20;

/**
 * Waits for the fallback of a WhatsApp message.
 * @param app an application that imports the service's module.
 * @throws Error with the last state if time runs out.
 */
export async function untilFallback(
  app: Pick<INestApplicationContext, 'get'>,
  originalMessageSid: string,
  { state = ENDS, timeoutMilliseconds = 4_500 }: UntilFallbackOptions = {},
): Promise<Fallback> {
  const states = [state].flat();
  const { manager } = app.get<DataSource>(DATA_SOURCE_TOKEN, { strict: false });
  const end = Date.now() + timeoutMilliseconds;
  for (;;) {
    const fallback = await manager.findOneBy(SmsFallback, { originalMessageSid });
    if (fallback !== null && states.includes(fallback.state)) return fallback;
    if (Date.now() >= end) {
      throw new Error(
        `The fallback of ${originalMessageSid} was not ${states.join(' or ')} within ${timeoutMilliseconds} ms: ${inWords(fallback)}`,
      );
    }
    await delay(POLL_MILLISECONDS);
  }
}

function inWords(fallback: SmsFallback | null): string {
  if (fallback === null)
    return 'there is none. Was its policy failure reported, and answered with 204? Does a worker run?';
  const { state, reason, lastErrorCode, lastError } = fallback;
  const details = [reason, lastErrorCode, lastError].filter((detail) => detail !== null);
  return `it is ${state}${details.length === 0 ? '' : ` (${details.join(', ')})`}`;
}
