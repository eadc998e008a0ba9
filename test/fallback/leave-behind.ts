import { randomUUID } from 'node:crypto';
import { demoAccount } from '../../simulator/demo-account.js';
import { SmsFallback } from '../../src/fallback/sms-fallback.entity.js';
import { type TestApplication, WEBHOOK_URL } from '../support/application.js';
import { recipientOf } from '../support/fallbacks.js';
import { minutesAgo } from '../support/minutes-ago.js';
import type { SeededMessage } from '../support/seed.js';

/**
 * The row that a worker leaves when it dies, with a lock that has run out since.
 * @returns its id.
 */
export async function leaveBehind(
  application: TestApplication,
  { twilioSid, companyPhoneNumber, body }: SeededMessage,
  row: Partial<SmsFallback>,
): Promise<string> {
  const composed = row.state === 'claimed' ? {} : { fromNumber: companyPhoneNumber, body };
  const { id } = await application.dataSource.manager.save(SmsFallback, {
    originalMessageSid: twilioSid,
    messageEventId: randomUUID(),
    accountSid: demoAccount.sid,
    statusCallbackUrl: WEBHOOK_URL,
    toNumber: recipientOf(twilioSid),
    lockedUntil: minutesAgo(1),
    ...composed,
    ...row,
  });
  return id;
}
