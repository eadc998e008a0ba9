import { fallbackInWords } from '../fallback/fallback-reasons.js';
import type { FallbackRecords } from '../operations/fallback-records.js';
import { fallbackEventView, fallbackView, smsTextView } from '../operations/fallback-view.js';
import type { Terminal } from '../process/command-line.js';
import { counted, shortTime, table } from './command.js';

export interface ShowOptions {
  /** The id of a fallback, or the SID of its original message or of its SMS. */
  readonly name: string;
  readonly json: boolean;
  readonly numbers: boolean;
}

type FallbackDetails = ReturnType<typeof fallbackView> & ReturnType<typeof smsTextView>;
type EventDetails = ReturnType<typeof fallbackEventView>;

export async function showFallback(
  { name, json, numbers }: ShowOptions,
  records: FallbackRecords,
  { print, complain }: Terminal,
): Promise<number> {
  const fallback = await records.find(name);
  if (fallback === null) {
    complain(`✖ ${noFallback(name)}`);
    return 1;
  }
  const details = { ...fallbackView(fallback, numbers), ...smsTextView(fallback, numbers) };
  const events = (await records.findEvents(fallback)).map((event) =>
    fallbackEventView(event, fallback, numbers),
  );
  if (json) print(JSON.stringify({ ...details, meaning: fallbackInWords(fallback), events }, null, 2));
  else print(`${inWords(details)}\n\n${eventsInWords(events)}`);
  return 0;
}

export function noFallback(name: string): string {
  return `There is no fallback for ${name}. Is it the id of a fallback, or the SID of a message that one belongs to?`;
}

function inWords(fallback: FallbackDetails): string {
  const lines = linesOf(fallback)
    .filter(([, value]) => value !== null)
    .map(([label, value]) => `  ${label.padEnd(12)}${(value ?? '').replaceAll('\n', `\n${' '.repeat(14)}`)}`);
  return [`Fallback ${fallback.id} of the message ${fallback.originalMessageSid}`, ...lines].join('\n');
}

function linesOf(fallback: FallbackDetails): [label: string, value: string | null][] {
  const { state, reason, errorCode, error, attempts, attemptStartedAt, text, smsMessageSid } = fallback;
  const isOpen = state === 'claimed' || state === 'sending' || state === 'uncertain';
  const isUnsent = (state === 'failed' || state === 'skipped') && fallback.isRetryable;
  return [
    ['state', reason === null ? state : `${state}: ${reason}`],
    ['', fallbackInWords({ ...fallback, lastErrorCode: errorCode })],
    ['', isUnsent ? `To try again: npm run fallbacks -- retry ${fallback.id}` : null],
    ['last error', errorCode === null && error === null ? null : `${errorCode ?? '-'}: ${error ?? '-'}`],
    [
      'attempts',
      `${attempts}${attemptStartedAt === null ? '' : `, the last one ${shortTime(attemptStartedAt)}`}`,
    ],
    ...fallback.earlierAttempts.map(({ at, from, messagingServiceSid, outcome, code }): [string, string] => [
      'before',
      `${shortTime(new Date(at))} from ${messagingServiceSid ?? from ?? '-'}: ${outcome} (${code})`,
    ]),
    ['SMS', smsMessageSid === null ? null : `${smsMessageSid}, accepted ${shortTime(fallback.sentAt)}`],
    ['to', fallback.to],
    ['user ID', fallback.userId],
    ['from', fallback.messagingServiceSid ?? fallback.from],
    ['text', text === null ? null : text + (fallback.truncated ? ' (cut to fit)' : '')],
    [
      'size',
      fallback.segments === null
        ? null
        : `${counted(fallback.segments, 'segment')}, ${fallback.encoding ?? '-'}`,
    ],
    ['left out', fallback.notCarriedOver.join(', ') || null],
    ['duplicate of', fallback.duplicateOf],
    ['account', fallback.accountSid],
    ['sent', fallback.originalSentAt && `${shortTime(fallback.originalSentAt)}, by WhatsApp`],
    ['claimed', shortTime(fallback.createdAt)],
    ['tried again', retriedInWords(fallback)],
    ['erased', fallback.erasedAt && shortTime(fallback.erasedAt)],
    ['next step', isOpen ? nextStepInWords(fallback) : null],
    [
      'delivered',
      fallback.duplicateDeliveryAt && `by WhatsApp after all, ${shortTime(fallback.duplicateDeliveryAt)}`,
    ],
  ];
}

/** A fallback that waits for its sender may be sent sooner than its next attempt is planned. */
function nextStepInWords({ reason, nextAttemptAt }: FallbackDetails): string {
  const time = shortTime(nextAttemptAt);
  return reason === 'waiting_for_sender' ? `when its turn comes, by ${time} at the latest` : time;
}

function retriedInWords({ retriedAt, retriedBy }: FallbackDetails): string | null {
  if (retriedAt === null && retriedBy === null) return null;
  return [retriedAt && shortTime(retriedAt), retriedBy && `by ${retriedBy}`].filter(Boolean).join(' ');
}

function eventsInWords(events: readonly EventDetails[]): string {
  if (events.length === 0) return 'No event of the message or of its SMS is stored.';
  const rows = events.map(({ createdAt, message, messageSid, channel, status, errorCode, error, source }) => [
    shortTime(createdAt),
    message === 'sms' ? 'SMS' : 'original',
    messageSid,
    channel,
    status,
    source,
    [errorCode, error].filter((part) => part !== null).join(': ') || '-',
  ]);
  return table(['received', 'of', 'message', 'channel', 'status', 'source', 'error'], rows);
}
