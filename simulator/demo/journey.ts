import { setTimeout as delay } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { clinic, type ClinicMessage } from './clinic.js';
import type { Narrator } from './narrator.js';
import type { TwilioSimulator } from '../twilio-simulator.js';

const PATIENT = '+15557654321';
const TIME_LIMIT_MILLISECONDS = 15_000;

/** Prints Twilio's part of the events. */
export function narrateTwilio(twilio: TwilioSimulator, narrator: Narrator): void {
  twilio.on('message', (message) => {
    narrator.say('Twilio', `📨 SMS accepted: ${message.from ?? '?'} → ${message.to}: “${message.body}”`);
  });
  twilio.on('callback', ({ parameters, status, error }) => {
    const { MessageSid: sid, MessageStatus: state, ErrorCode: code } = parameters;
    const answer = status === undefined ? `no answer: ${error ?? ''}` : `answered ${status}`;
    const reason = code === undefined ? '' : ` (ErrorCode ${String(code)})`;
    narrator.say('Twilio', `callback: ${String(sid).slice(0, 8)}… is ${String(state)}${reason} → ${answer}`);
  });
}

/** Plays a WhatsApp message that Meta does not deliver. @returns whether its SMS was delivered. */
export async function playJourney(
  twilio: TwilioSimulator,
  dataSource: DataSource,
  narrator: Narrator,
  { sid, body }: ClinicMessage,
  statusCallback: string,
): Promise<boolean> {
  narrator.say('clinic', `WhatsApp to ${PATIENT}: “${body}”`);
  twilio.sendWhatsapp({
    sid,
    from: `whatsapp:${clinic.phoneNumber}`,
    to: `whatsapp:${PATIENT}`,
    body,
    statusCallback,
    steps: [
      { status: 'sent', delayMilliseconds: 300 },
      { status: 'undelivered', errorCode: 63049, delayMilliseconds: 700 },
    ],
  });
  const end = Date.now() + TIME_LIMIT_MILLISECONDS;
  while (Date.now() < end) {
    if ((await smsStatus(dataSource, sid)) === 'delivered') {
      await twilio.settled();
      return true;
    }
    await delay(50);
  }
  return false;
}

async function smsStatus(dataSource: DataSource, originalSid: string): Promise<string | undefined> {
  const [sms] = await dataSource.query<{ status: string }[]>(
    `select messages.status from sms_fallbacks join messages on messages.id = sms_fallbacks.message_id
      where original_message_sid = $1`,
    [originalSid],
  );
  return sms?.status;
}

/** Prints the database's record of the message. */
export async function printRecord(
  dataSource: DataSource,
  narrator: Narrator,
  originalSid: string,
): Promise<void> {
  const events = await dataSource.query<{ channel: string; status: string; code: string | null; at: Date }[]>(
    `select channel, message_status as status, error_code as code, created_at as at from message_events
      where message_sid = $1
         or message_sid = (select sms_message_sid from sms_fallbacks where original_message_sid = $1)
      order by created_at`,
    [originalSid],
  );
  narrator.title('What the database holds now');
  for (const { channel, status, code, at } of events) {
    narrator.print(
      `  message_events  ${at.toISOString()}  ${channel.padEnd(8)}  ${status.padEnd(11)}  ${code ?? ''}`,
    );
  }
  const fallbacks = await dataSource.query<{ state: string; reason: string | null; sid: string | null }[]>(
    `select state, reason, sms_message_sid as sid from sms_fallbacks where original_message_sid = $1`,
    [originalSid],
  );
  for (const { state, reason, sid } of fallbacks) {
    narrator.print(`  sms_fallbacks   ${state}${reason === null ? '' : ` (${reason})`}  ${sid ?? ''}`);
  }
}
