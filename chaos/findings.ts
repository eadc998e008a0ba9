import type { SimulatedMessage } from '../simulator/message.js';
import { type ExpectedSms, expectedSms, type PlannedMessage } from './planned-message.js';

/** A row of `sms_fallbacks`. */
export interface FallbackRow {
  readonly id: string;
  readonly original_message_sid: string;
  readonly state: string;
  readonly reason: string | null;
  readonly attempts: number;
  readonly sms_message_sid: string | null;
}

/** What is wrong, one line for each case. Every list must be empty. */
export interface SmsFindings {
  readonly missingSms: string[];
  readonly secondSms: string[];
  readonly wrongSms: string[];
  readonly openFallbacks: string[];
  readonly wrongEnds: string[];
  readonly unrecordedSms: string[];
}

export interface Evidence {
  /** Every original, by its SID. */
  readonly originals: ReadonlyMap<string, PlannedMessage>;
  /** Whether the service has to know of this original's policy failure. */
  readonly isTold: (messageSid: string) => boolean;
  /** What the fake Twilio accepted. */
  readonly sms: readonly SimulatedMessage[];
  readonly fallbacks: readonly FallbackRow[];
}

const ENDS: ReadonlySet<string> = new Set(['sent', 'skipped', 'failed']);

/** Compares what Twilio accepted, and what the service recorded, with what had to be. */
export function judgeSms(evidence: Evidence): SmsFindings {
  return { ...judgeAccepted(evidence), ...judgeRecorded(evidence) };
}

/** By person: two originals of the same text to one person are to have two SMS, and nobody can tell which is whose. */
function judgeAccepted({ originals, isTold, sms, fallbacks }: Evidence) {
  const findings = { missingSms: [] as string[], secondSms: [] as string[], wrongSms: [] as string[] };
  const states = new Map(fallbacks.map((fallback) => [fallback.original_message_sid, describe(fallback)]));
  const accepted = byRecipient(sms);
  for (const [to, planned] of byRecipient(originals.values())) {
    const expected = planned.map(expectedSms).filter((item) => item !== null);
    const least = planned.filter((item) => expectedSms(item) !== null && isTold(item.sid)).length;
    const got = accepted.get(to) ?? [];
    accepted.delete(to);
    const who = planned.map(({ sid }) => `${sid} ${states.get(sid) ?? 'without a fallback'}`).join(', ');
    const sids = got.map((message) => message.sid).join(', ');
    if (got.length < least) findings.missingSms.push(`${who}: ${String(got.length)} of ${String(least)} SMS`);
    if (got.length > expected.length) findings.secondSms.push(`${who}: ${sids}`);
    const isRight = (message: SimulatedMessage) => expected.some((item) => isSame(item, message));
    const wrong = got.filter((message) => expected.length > 0 && !isRight(message));
    findings.wrongSms.push(...wrong.map((message) => `${message.sid} of ${who}`));
  }
  findings.wrongSms.push(
    ...[...accepted.values()].flat().map(({ sid, to }) => `${sid} to ${to}, a stranger`),
  );
  return findings;
}

function judgeRecorded({ originals, sms, fallbacks }: Evidence) {
  const recorded = new Map(fallbacks.map((fallback) => [fallback.sms_message_sid, fallback]));
  const accepted = new Set(sms.map(({ sid }) => sid));
  const unrecorded = sms.filter(({ sid }) => recorded.get(sid)?.state !== 'sent').map(({ sid }) => sid);
  const invented = fallbacks
    .filter(({ state, sms_message_sid: sid }) => state === 'sent' && !accepted.has(sid ?? ''))
    .map((fallback) => `${describe(fallback)}, which Twilio does not know`);
  const isRightEnd = ({ original_message_sid: sid, state }: FallbackRow) => {
    const original = originals.get(sid);
    return original?.fails === true && state === (original.company === null ? 'skipped' : 'sent');
  };
  const isOpen = ({ state }: FallbackRow) => !ENDS.has(state);
  return {
    openFallbacks: fallbacks.filter(isOpen).map(describe),
    wrongEnds: fallbacks.filter((fallback) => !isOpen(fallback) && !isRightEnd(fallback)).map(describe),
    unrecordedSms: [...unrecorded, ...invented],
  };
}

function byRecipient<Item extends { readonly to: string }>(items: Iterable<Item>): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) groups.set(item.to, [...(groups.get(item.to) ?? []), item]);
  return groups;
}

function isSame(expected: ExpectedSms, { accountSid, to, from, body }: SimulatedMessage): boolean {
  return (
    expected.accountSid === accountSid &&
    expected.to === to &&
    expected.from === from &&
    expected.body === body
  );
}

function describe({
  id,
  original_message_sid,
  state,
  reason,
  attempts,
  sms_message_sid,
}: FallbackRow): string {
  const end = [state, reason, `${String(attempts)} attempts`, sms_message_sid].filter(
    (item) => item !== null,
  );
  return `[fallback ${id} of ${original_message_sid}: ${end.join(', ')}]`;
}
