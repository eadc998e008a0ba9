import type { CallbackStep } from '../../simulator/callback-plan.js';
import type { SimulatedMessage } from '../../simulator/message.js';
import { MessageEvent } from '../../src/message-events/message-event.entity.js';
import { StatusPollingService } from '../../src/status-polling/status-polling.service.js';
import { type TestApplication, WEBHOOK_URL } from '../support/application.js';
import { recipientOf } from '../support/fallbacks.js';
import { follow } from '../support/following.js';
import { randomMessageSid } from '../support/seed.js';

export const POLICY_FAILURE = { status: 'undelivered', errorCode: 63049, errorMessage: 'Meta chose not to' };

/** A WhatsApp message as Twilio plays it; resolves when its last callback has been answered. */
export async function sendWhatsapp(
  application: TestApplication,
  steps: readonly CallbackStep[],
  sid = randomMessageSid(),
  accountSid?: string,
): Promise<SimulatedMessage> {
  const message = application.twilio.sendWhatsapp({
    sid,
    ...(accountSid !== undefined && { accountSid }),
    from: 'whatsapp:+15550001111',
    to: `whatsapp:${recipientOf(sid)}`,
    body: 'Your appointment is tomorrow at 10:00.',
    statusCallback: WEBHOOK_URL,
    steps,
  });
  await application.twilio.settled();
  return message;
}

/** Moves everything in the database back in time, as if so many minutes had passed since. */
export async function pass(application: TestApplication, minutes: number): Promise<void> {
  await follow(application);
  for (const [table, ...columns] of [
    ['message_events', 'created_at'],
    ['messages', 'created_at'],
    ['message_poll_watermarks', 'created_at'],
    ['message_polls', 'waiting_since', 'next_poll_at'],
  ]) {
    const changes = columns.map((column) => `${column} = ${column} - $1 * interval '1 minute'`);
    await application.query(`update ${table ?? ''} set ${changes.join()}`, [minutes]);
  }
}

export function runOnce(application: TestApplication): Promise<void> {
  return application.app.get(StatusPollingService).runOnce();
}

/** When Twilio was asked about this message, or about any. */
export function asked(application: TestApplication, messageSid = ''): Date[] {
  return application.twilio.requests
    .filter(({ method, path }) => method === 'GET' && path.includes(`/Messages/${messageSid}`))
    .map(({ time }) => time);
}

/** The events of a message, `callback` or `poll` by status. */
export async function sourcesOf(
  application: TestApplication,
  messageSid: string,
): Promise<Record<string, string>> {
  const events = await application.dataSource.manager.findBy(MessageEvent, { messageSid });
  return Object.fromEntries(events.map(({ messageStatus, source }) => [messageStatus, source]));
}

/** The messages that are waiting for another poll. */
export async function waiting(application: TestApplication): Promise<string[]> {
  const rows = await application.query<{ sid: string }>('select message_sid as sid from message_polls');
  return rows.map(({ sid }) => sid);
}

export function lines(application: TestApplication, message: string) {
  return application.logs.lines.filter((line) => line.message === message);
}
