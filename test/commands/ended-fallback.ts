import { randomUUID } from 'node:crypto';
import { demoAccount } from '../../simulator/demo-account.js';
import { SmsFallback } from '../../src/fallback/sms-fallback.entity.js';
import { type TestApplication, WEBHOOK_URL } from '../support/application.js';
import { recipientOf } from '../support/fallbacks.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { type SeededMessage, type SeedOptions, seedMessage } from '../support/seed.js';

/** A message, and the row of its fallback as it was left some time ago. */
export async function seedFallback(
  application: TestApplication,
  row: Partial<SmsFallback>,
  message: SeedOptions = {},
): Promise<SeededMessage & { fallbackId: string }> {
  const seeded = await seedMessage(application.dataSource, message);
  const fallbackId = await addFallback(application, seeded, row);
  return { ...seeded, fallbackId };
}

/** Where an attempt was made, the row has the SMS that was attempted. */
export async function addFallback(
  application: TestApplication,
  { twilioSid, companyPhoneNumber, body }: Pick<SeededMessage, 'twilioSid' | 'companyPhoneNumber' | 'body'>,
  row: Partial<SmsFallback>,
): Promise<string> {
  const { id } = await application.dataSource.manager.save(SmsFallback, {
    originalMessageSid: twilioSid,
    messageEventId: randomUUID(),
    accountSid: demoAccount.sid,
    statusCallbackUrl: WEBHOOK_URL,
    toNumber: recipientOf(twilioSid),
    createdAt: minutesAgo(600),
    ...(row.attempts !== undefined && {
      fromNumber: companyPhoneNumber,
      body,
      attemptStartedAt: minutesAgo(590),
    }),
    ...row,
  });
  return id;
}
