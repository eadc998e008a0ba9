import { randomUUID } from 'node:crypto';
import type { DataSource, EntityManager } from 'typeorm';
import { demoAccount } from '../demo-account.js';
import { randomNumbers } from '../random.js';
import { newMessageSid } from '../message.js';
import { clinic } from './clinic.js';
import { type End, pickEnd } from './history-ends.js';

const DAYS = 14;
const MESSAGES_A_DAY = 400;
const HOUR = 3_600_000;
const ROWS_AT_ONCE = 500;

/** Rows by the names of their columns. */
interface History {
  readonly message_events: Record<string, unknown>[];
  readonly conversations: Record<string, unknown>[];
  readonly messages: Record<string, unknown>[];
  readonly sms_fallbacks: Record<string, unknown>[];
}

export interface HistoryOptions {
  /** The clinic's id in `companies`. */
  readonly companyId: string;
  /** The status callback URL for the SMS of a retried fallback. */
  readonly statusCallbackUrl: string;
  readonly now?: Date;
}

/** Stores two weeks of fictional messages for the page. They are the same each time except for SIDs and times. */
export async function storeHistory(dataSource: DataSource, options: HistoryOptions): Promise<void> {
  const random = randomNumbers(63049);
  const now = (options.now ?? new Date()).getTime();
  const history: History = { message_events: [], conversations: [], messages: [], sms_fallbacks: [] };
  for (let index = 0; index < DAYS * MESSAGES_A_DAY; index += 1) {
    // The last one is half an hour ago, so that it does not mix with the demo's own messages.
    const at = now - HOUR / 2 - random() * (DAYS * 24 - 1) * HOUR;
    if (random() < busyness(new Date(at))) addMessage(history, at, pickEnd(random), random, options);
  }
  await dataSource.transaction(async (manager) => {
    for (const [table, rows] of Object.entries<History[keyof History]>({ ...history }))
      await insert(manager, table, rows);
    // Last, since an SMS counts as delivered only if its fallback exists.
    for (let begin = 0; begin < history.message_events.length; begin += ROWS_AT_ONCE) {
      await manager.query(FOLLOW, [
        history.message_events.slice(begin, begin + ROWS_AT_ONCE).map(({ id }) => id),
      ]);
    }
  });
}

/** Lets the service count the events, as it does with those that it stores itself. */
const FOLLOW = `
insert into message_event_outbox (id, message_sid) select id, message_sid from message_events where id = any ($1)`;

/** Returns the load from 0 to 1: little is sent at night. */
function busyness(at: Date): number {
  const hour = at.getHours() + at.getMinutes() / 60;
  return hour < 7 || hour > 20 ? 0.1 : 0.55 + 0.45 * Math.sin(((hour - 7) / 13) * Math.PI);
}

function addMessage(
  history: History,
  at: number,
  end: End,
  random: () => number,
  options: HistoryOptions,
): void {
  const sid = newMessageSid();
  const to = `+1555${String(Math.floor(random() * 10 ** 7)).padStart(7, '0')}`;
  const add = (message: string, channel: string, status: string, when: number, code?: string): string => {
    const id = randomUUID();
    history.message_events.push({
      id,
      message_sid: message,
      message_status: status,
      channel,
      to_number: to,
      from_number: clinic.phoneNumber,
      error_code: code ?? null,
      account_sid: demoAccount.sid,
      payload: {},
      source: 'callback',
      created_at: new Date(when).toISOString(),
    });
    return id;
  };
  add(sid, 'whatsapp', 'sent', at);
  const endedAt = at + 1_000 + random() * 4_000;
  const messageEventId = add(sid, 'whatsapp', end.whatsapp, endedAt, end.code);
  if (end.fallback === undefined) return;
  const { sms } = end.fallback;
  const smsSid = sms === undefined ? null : newMessageSid();
  const sentAt = endedAt + 200 + 1_500 * random() ** 3;
  addFallback(history, { sid, smsSid, sentAt, to, at: endedAt + 40, messageEventId }, end.fallback, options);
  if (sms === undefined || smsSid === null) return;
  add(smsSid, 'sms', 'sent', sentAt + 300);
  add(smsSid, 'sms', sms.status, sentAt + 1_000 + random() * 3_000, sms.code);
}

function addFallback(
  history: History,
  message: {
    sid: string;
    smsSid: string | null;
    sentAt: number;
    to: string;
    at: number;
    messageEventId: string;
  },
  end: NonNullable<End['fallback']>,
  { companyId, statusCallbackUrl }: HistoryOptions,
): void {
  const { sid, smsSid, sentAt, to, at, messageEventId } = message;
  const conversationId = randomUUID();
  const time = (milliseconds: number) => new Date(at + milliseconds).toISOString();
  const body = end.reason === 'no_text' ? null : 'Hello, your appointment at Example Clinic is tomorrow.';
  const hasCompany = end.reason !== 'conversation_without_company';
  history.conversations.push({ id: conversationId, company_id: hasCompany ? companyId : null });
  history.messages.push({
    id: randomUUID(),
    conversation_id: conversationId,
    twilio_sid: sid,
    direction: 'outbound',
    channel: 'whatsapp',
    body,
    status: 'undelivered',
    created_at: time(-5_000),
  });
  history.sms_fallbacks.push({
    id: randomUUID(),
    original_message_sid: sid,
    message_event_id: messageEventId,
    account_sid: demoAccount.sid,
    state: end.state,
    reason: end.reason ?? null,
    attempts: end.state === 'skipped' ? 0 : 1,
    unanswered_attempts: 0,
    to_number: to,
    from_number: clinic.phoneNumber,
    body: end.state === 'skipped' ? null : body,
    truncated: false,
    status_callback_url: statusCallbackUrl,
    sms_message_sid: smsSid,
    last_error_code: end.code ?? null,
    next_attempt_at: time(0),
    attempt_started_at: end.state === 'skipped' ? null : time(100),
    sent_at: smsSid === null ? null : new Date(sentAt).toISOString(),
    created_at: time(0),
    updated_at: time(2_000),
  });
}

/** Inserts in batches, so that each stays within the statement timeout. */
async function insert(
  manager: EntityManager,
  table: string,
  rows: readonly Record<string, unknown>[],
): Promise<void> {
  const columns = Object.keys(rows[0] ?? {}).join(', ');
  for (let begin = 0; begin < rows.length; begin += ROWS_AT_ONCE) {
    await manager.query(
      `insert into ${table} (${columns}) select ${columns} from jsonb_populate_recordset(null::${table}, $1)`,
      [JSON.stringify(rows.slice(begin, begin + ROWS_AT_ONCE))],
    );
  }
}
