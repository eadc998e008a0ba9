import { expect } from '@jest/globals';
import type { TestingModuleBuilder } from '@nestjs/testing';
import { randomUUID } from 'node:crypto';
import type { ApiRequest } from '../../simulator/api-request.js';
import { type StatusCallback, whatsappStatusParameters } from '../../simulator/callback-parameters.js';
import { demoAccount } from '../../simulator/demo-account.js';
import type { SimulatedMessage } from '../../simulator/message.js';
import { DomainEventPublisher } from '../../src/domain-events/domain-events.js';
import {
  type FallbackModuleOptions,
  MODULE_OPTIONS_TOKEN as FALLBACK_OPTIONS,
} from '../../src/fallback/fallback.module-definition.js';
import { SmsFallback } from '../../src/fallback/sms-fallback.entity.js';
import {
  MODULE_OPTIONS_TOKEN as TWILIO_OPTIONS,
  type TwilioModuleOptions,
} from '../../src/twilio/twilio.module-definition.js';
import {
  MODULE_OPTIONS_TOKEN as SERVICE_OPTIONS,
  type WhatsappSmsFallbackOptions,
} from '../../src/whatsapp-sms-fallback.module.js';
import { type TestApplication, WEBHOOK_URL } from './application.js';
import { follow } from './following.js';
import { untilQueueIsEmpty } from './job-queue.js';
import { until } from './until.js';

export const DEFAULT_FROM = '+15550009999';

type Override = (builder: TestingModuleBuilder) => TestingModuleBuilder;

/**
 * Sets the fallback's options, with AppModule's defaults. A spec that keeps `options` can change a time while the
 * application runs instead of waiting for it.
 */
export function withFallbackOptions(options: FallbackModuleOptions): Override {
  const usual = { defaultFrom: DEFAULT_FROM, statusCallbackUrl: WEBHOOK_URL };
  return (builder) =>
    builder.overrideProvider(FALLBACK_OPTIONS).useValue(Object.assign(options, { ...usual, ...options }));
}

/**
 * A timeout that only a request without an answer reaches. With a shorter one, a busy machine decides which requests
 * are answered.
 */
export const TWILIO_TIMEOUT_MILLISECONDS = 3_000;

/** Sets the timeout of calls to Twilio. */
export function withTwilioTimeout(timeoutMilliseconds = TWILIO_TIMEOUT_MILLISECONDS): Override {
  return (builder) =>
    builder.overrideProvider(TWILIO_OPTIONS).useFactory({
      inject: [SERVICE_OPTIONS],
      factory: ({ apiBaseUrl }: WhatsappSmsFallbackOptions): TwilioModuleOptions => ({
        accounts: [{ accountSid: demoAccount.sid, authTokens: [demoAccount.authToken] }],
        apiBaseUrl,
        timeoutMilliseconds,
      }),
    });
}

/** A different telephone number for each message, so that a test can attribute each SMS. */
export function recipientOf(messageSid: string): string {
  return `+1555${String(Number.parseInt(messageSid.slice(-10), 16) % 10 ** 7).padStart(7, '0')}`;
}

/** The SMS that Twilio accepted for the recipient of this message. */
export function smsFor(application: TestApplication, messageSid: string): SimulatedMessage[] {
  return application.twilio.messages.filter(({ to }) => to === recipientOf(messageSid));
}

/** Every attempt to send an SMS to the recipient of this message, whatever its outcome. */
export function attemptsFor(application: TestApplication, messageSid: string): ApiRequest[] {
  return application.twilio.requests.filter(
    ({ method, parameters }) => method === 'POST' && parameters['To'] === recipientOf(messageSid),
  );
}

/** Sends Twilio's signed callback that Meta's policy prevented the delivery, and expects 204. */
export async function policyFailure(
  application: TestApplication,
  messageSid: string,
  overrides: Partial<StatusCallback> = {},
): Promise<void> {
  await whatsappStatus(application, messageSid, { status: 'undelivered', errorCode: 63049, ...overrides });
}

/** Sends Twilio's signed callback for a status of a WhatsApp message, and expects 204. */
export async function whatsappStatus(
  application: TestApplication,
  messageSid: string,
  callback: Partial<StatusCallback> & Pick<StatusCallback, 'status'>,
): Promise<void> {
  const answer = await application.twilio.sendCallback({
    url: WEBHOOK_URL,
    parameters: whatsappStatusParameters({
      messageSid,
      to: `whatsapp:${recipientOf(messageSid)}`,
      from: 'whatsapp:+15550001111',
      ...callback,
    }),
  });
  if (answer.status !== 204) throw new Error(`The callback was answered with ${answer.status}`);
}

export function findFallback(application: TestApplication, messageSid: string): Promise<SmsFallback | null> {
  return application.dataSource.manager.findOneBy(SmsFallback, { originalMessageSid: messageSid });
}

/** Waits until the message's fallback is in one of these states. */
export function untilFallbackIs(
  application: TestApplication,
  messageSid: string,
  ...states: readonly SmsFallback['state'][]
): Promise<SmsFallback> {
  return until(`the fallback of ${messageSid} to be ${states.join(' or ')}`, async () => {
    const fallback = await findFallback(application, messageSid);
    return fallback !== null && states.includes(fallback.state) && fallback;
  });
}

export function untilFallbackEnds(application: TestApplication, messageSid: string): Promise<SmsFallback> {
  return untilFallbackIs(application, messageSid, 'sent', 'skipped', 'failed');
}

/** Waits until nothing more can happen: the fallback has ended, no job is left, and Twilio's callbacks are followed. */
export async function untilAllIsDone(application: TestApplication, messageSid: string): Promise<SmsFallback> {
  await untilFallbackEnds(application, messageSid);
  await untilQueueIsEmpty(application);
  await application.twilio.settled();
  await follow(application);
  const fallback = await findFallback(application, messageSid);
  if (fallback === null) throw new Error(`The fallback of ${messageSid} is gone`);
  return fallback;
}

/** Expects that the SMS for this message was sent once, and that the row and Twilio agree. */
export async function expectOneSms(application: TestApplication, messageSid: string): Promise<SmsFallback> {
  const fallback = await untilAllIsDone(application, messageSid);
  expect(fallback).toMatchObject({ state: 'sent', reason: null, lockedUntil: null });
  expect(smsFor(application, messageSid).map(({ sid }) => sid)).toEqual([fallback.smsMessageSid]);
  return fallback;
}

/** Makes an attempt due now, and publishes it as the worker does after the wait. */
export async function attemptNow(application: TestApplication, smsFallbackId: string): Promise<void> {
  await application.query('update sms_fallbacks set next_attempt_at = now() where id = $1', [smsFallbackId]);
  await application.app
    .get(DomainEventPublisher)
    .publish(application.dataSource.manager, 'sms_fallback.attempt_due', [
      { id: randomUUID(), occurredAt: new Date().toISOString(), smsFallbackId },
    ]);
}
