import type { ApiRequest } from '../../simulator/api-request.js';
import { demoAccount } from '../../simulator/demo-account.js';
import { senderKey } from '../../src/fallback/sender-pace.js';
import type { SmsFallback } from '../../src/fallback/sms-fallback.entity.js';
import type { TestApplication } from '../support/application.js';
import { findFallback, policyFailure } from '../support/fallbacks.js';
import { type SeedOptions, seedMessage } from '../support/seed.js';
import { until } from '../support/until.js';

/** The number of the company that `seedMessage` uses. */
export const SENDER = '+15550001111';
export const OTHER_SENDER = '+15557770001';

/** Statements about senders, except the one by which a process reads slowdowns each second. */
export const OF_SENDERS = /sms_senders(?!.*full join)/s;

export function keyOf(fromNumber: string): string {
  return senderKey(demoAccount.sid, { fromNumber, messagingServiceSid: null });
}

/** Stores messages. @returns their SIDs. */
export async function seed(
  application: TestApplication,
  count: number,
  options: SeedOptions = {},
): Promise<string[]> {
  const sids: string[] = [];
  while (sids.length < count) sids.push((await seedMessage(application.dataSource, options)).twilioSid);
  return sids;
}

/** Stores messages, and reports policy failures of them at the same time. @returns their SIDs. */
export async function failAtOnce(
  application: TestApplication,
  count: number,
  options: SeedOptions = {},
): Promise<string[]> {
  const sids = await seed(application, count, options);
  await Promise.all(sids.map((sid) => policyFailure(application, sid)));
  return sids;
}

/** Lets a sender send nothing for an hour. */
export async function hold(application: TestApplication, fromNumber: string): Promise<void> {
  await application.query(
    `insert into sms_senders (key, not_before) values ($1, now() + interval '1 hour')
     on conflict (key) do update set not_before = excluded.not_before`,
    [keyOf(fromNumber)],
  );
}

export async function letGo(application: TestApplication, fromNumber: string): Promise<void> {
  await application.query('update sms_senders set not_before = null where key = $1', [keyOf(fromNumber)]);
}

export function untilInLine(application: TestApplication, messageSid: string): Promise<SmsFallback> {
  return until(`the fallback of ${messageSid} to wait for its sender`, async () => {
    const fallback = await findFallback(application, messageSid);
    return fallback?.reason === 'waiting_for_sender' && fallback.pacedBy !== null && fallback;
  });
}

/** Every attempt to send an SMS, oldest first. */
export function attempts(...applications: readonly TestApplication[]): ApiRequest[] {
  return applications
    .flatMap(({ twilio }) => twilio.requests)
    .filter(({ method }) => method === 'POST')
    .sort((one, other) => one.time.getTime() - other.time.getTime());
}

/** The log lines about senders that were slowed down. */
export function slowdowns(application: TestApplication): number {
  return application.logs.messages().filter((line) => line === 'A sender is slowed down').length;
}
