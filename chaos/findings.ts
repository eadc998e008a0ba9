import type { SimulatedMessage } from '../simulator/message.js';
import { expectationOf, isEverDelivered, type Knowledge } from './expectations.js';
import type { ExpectedSms, PlannedMessage } from './planned-message.js';
import { FAILED, isNeverSentCode } from './status-steps.js';

/** A row of `sms_fallbacks`. */
export interface FallbackRow {
  readonly id: string;
  readonly original_message_sid: string;
  readonly state: string;
  readonly reason: string | null;
  readonly attempts: number;
  readonly sms_message_sid: string | null;
  /** The SMS that Twilio accepted and never sent. */
  readonly never_sent_sids: readonly string[];
}

/** Findings, one line for each case. Every list must be empty. */
export interface SmsFindings {
  readonly missingSms: string[];
  readonly secondSms: string[];
  /** People who had more than one SMS at a time that was not known to have failed. */
  readonly liveSms: string[];
  readonly lateSms: string[];
  readonly wrongSms: string[];
  readonly missingFallbacks: string[];
  readonly openFallbacks: string[];
  readonly wrongEnds: string[];
  readonly unrecordedSms: string[];
}

export interface Evidence extends Knowledge {
  /** Every original, by its SID. */
  readonly originals: ReadonlyMap<string, PlannedMessage>;
  /** The SMS that the fake Twilio accepted, oldest first. */
  readonly sms: readonly SimulatedMessage[];
  readonly fallbacks: readonly FallbackRow[];
}

const ENDS: ReadonlySet<string> = new Set(['sent', 'skipped', 'failed']);

/** Compares the SMS that Twilio accepted and the service's records with the expectations. */
export function judgeSms(evidence: Evidence): SmsFindings {
  return { ...judgeAccepted(evidence), ...judgeRecorded(evidence) };
}

type AcceptedFindings = Pick<SmsFindings, 'missingSms' | 'secondSms' | 'liveSms' | 'lateSms' | 'wrongSms'>;

function judgeAccepted(evidence: Evidence): AcceptedFindings {
  const { originals, sms, fallbacks } = evidence;
  const findings = { missingSms: [], secondSms: [], liveSms: [], lateSms: [], wrongSms: [] };
  const descriptions = new Map(fallbacks.map((row) => [row.original_message_sid, describe(row)]));
  const accepted = byRecipient(sms);
  for (const [to, planned] of byRecipient(originals.values())) {
    const who = planned.map(({ sid }) => `${sid} ${descriptions.get(sid) ?? 'without a fallback'}`);
    judgePerson({ who: who.join(', '), planned, got: accepted.get(to) ?? [], evidence }, findings);
    accepted.delete(to);
  }
  const strange = [...accepted.values()].flat().map(({ sid, to }) => `${sid} to ${to}, a stranger`);
  return { ...findings, wrongSms: [...findings.wrongSms, ...strange] };
}

interface Person {
  readonly who: string;
  readonly planned: readonly PlannedMessage[];
  /** The SMS that Twilio accepted for the person, the oldest first. */
  readonly got: readonly SimulatedMessage[];
  readonly evidence: Evidence;
}

/** Judges by person, since an SMS cannot be assigned to one of two originals with the same text. */
function judgePerson({ who, planned, got, evidence }: Person, findings: AcceptedFindings): void {
  const expectations = planned.map((item) => expectationOf(item, evidence));
  const expected = expectations.filter(({ sms }) => sms !== null);
  const resends = countResends({ who, planned, got, evidence });
  const obligatory = expectations.filter(({ isObligatory }) => isObligatory).length;
  // A resend is another SMS after the first one, even if the first one was not obligatory.
  const least = Math.max(obligatory, Math.min(got.length, 1)) + resends.least;
  const most = expected.length + Math.min(expected.length, resends.most);
  const sids = got.map(({ sid }) => sid).join(', ');
  if (got.length < least)
    findings.missingSms.push(`${who}: ${String(got.length)} of ${String(least)} SMS: ${sids}`);
  if (got.length > most) findings.secondSms.push(`${who}: ${sids}`);
  if (isEverLive(got, Math.max(1, expected.length), evidence)) findings.liveSms.push(`${who}: ${sids}`);
  if (expected.length === 0) return;
  const isRight = (message: SimulatedMessage) => expected.some(({ sms }) => isSame(sms, message));
  const isInTime = ({ dateCreated }: SimulatedMessage) =>
    expected.some(({ noSmsAfter }) => dateCreated.getTime() <= noSmsAfter);
  findings.wrongSms.push(...got.filter((message) => !isRight(message)).map(({ sid }) => `${sid} of ${who}`));
  findings.lateSms.push(...got.filter((message) => !isInTime(message)).map(({ sid }) => `${sid} of ${who}`));
}

/** Counts the SMS that follow one that was never sent: one for each original, as far as the service knows. */
function countResends({ planned, got, evidence }: Person): { least: number; most: number } {
  const neverSent = got.filter(isNeverSent);
  const acknowledged = neverSent.filter(({ sid }) => isKnownToHaveFailed(sid, evidence));
  return {
    // Two of them may belong to one original. A delivery by WhatsApp makes another SMS unnecessary.
    least: planned.some(isEverDelivered) ? 0 : Math.ceil(acknowledged.length / 2),
    most: neverSent.filter(({ sid }) => evidence.callbacks.toldAt(sid, FAILED) !== null).length,
  };
}

/** Whether an SMS came while the maximum number of others were not known to have failed. */
function isEverLive(got: readonly SimulatedMessage[], most: number, { callbacks }: Evidence): boolean {
  return got.some(({ dateCreated }, index) => {
    const isLive = ({ sid }: SimulatedMessage) =>
      (callbacks.toldAt(sid, FAILED) ?? Infinity) > dateCreated.getTime();
    return got.slice(0, index).filter(isLive).length >= most;
  });
}

type RecordedFindings = Pick<
  SmsFindings,
  'missingFallbacks' | 'openFallbacks' | 'wrongEnds' | 'unrecordedSms'
>;

function judgeRecorded(evidence: Evidence): RecordedFindings {
  const { originals, isTold, fallbacks } = evidence;
  const sms = new Map(evidence.sms.map((message) => [message.sid, message]));
  const claimed = new Set(fallbacks.map(({ original_message_sid }) => original_message_sid));
  const isOpen = ({ state }: FallbackRow) => !ENDS.has(state);
  const isWrong = (row: FallbackRow) => !isOpen(row) && !isRightEnd(row, sms, evidence);
  return {
    missingFallbacks: [...originals.values()]
      .filter(({ sid, fails }) => fails && isTold(sid) && !claimed.has(sid))
      .map(({ sid }) => sid),
    openFallbacks: fallbacks.filter(isOpen).map(describe),
    wrongEnds: fallbacks.filter(isWrong).map(describe),
    unrecordedSms: findUnrecorded(evidence),
  };
}

function isRightEnd(
  row: FallbackRow,
  accepted: ReadonlyMap<string, SimulatedMessage>,
  evidence: Evidence,
): boolean {
  const original = evidence.originals.get(row.original_message_sid);
  if (original === undefined) return false;
  const { ends } = expectationOf(original, evidence);
  const isOfPerson = (sid: string) => accepted.get(sid)?.to === original.to;
  const wasNeverSent = (sid: string) => {
    const message = accepted.get(sid);
    return message !== undefined && isNeverSent(message);
  };
  if (row.state === 'failed' && row.reason === 'never_sent') {
    const failed = row.never_sent_sids.filter((sid) => isOfPerson(sid) && wasNeverSent(sid));
    return ends.has('sent') && failed.length === 2;
  }
  if (!ends.has(row.reason === null ? row.state : `${row.state} ${row.reason}`)) return false;
  const sid = row.sms_message_sid;
  if (row.state !== 'sent' || sid === null || !accepted.has(sid)) return true;
  return isOfPerson(sid) && !(wasNeverSent(sid) && isKnownToHaveFailed(sid, evidence));
}

function isKnownToHaveFailed(sid: string, { callbacks }: Evidence): boolean {
  return callbacks.acknowledgedAt(sid, FAILED) !== null;
}

/** Finds SMS without a fallback, and SMS of a fallback that Twilio does not have or that did not fail there. */
function findUnrecorded({ sms, fallbacks, callbacks }: Evidence): string[] {
  const sent = new Set(fallbacks.filter(({ state }) => state === 'sent').map((row) => row.sms_message_sid));
  const failed = new Set(fallbacks.flatMap(({ never_sent_sids }) => never_sent_sids));
  const accepted = new Set(sms.map(({ sid }) => sid));
  const reported = new Set(
    sms.filter(({ sid }) => callbacks.toldAt(sid, FAILED) !== null).map(({ sid }) => sid),
  );
  const isInvented = ({ state, sms_message_sid, never_sent_sids }: FallbackRow) =>
    (state === 'sent' && !accepted.has(sms_message_sid ?? '')) ||
    never_sent_sids.some((sid) => !reported.has(sid));
  return [
    ...[...accepted].filter((sid) => !sent.has(sid) && !failed.has(sid)),
    ...fallbacks.filter(isInvented).map((row) => `${describe(row)}, which Twilio tells otherwise`),
  ];
}

/** Whether Twilio accepted the SMS and did not send it. */
export function isNeverSent({ status, errorCode }: SimulatedMessage): boolean {
  return FAILED.includes(status) && isNeverSentCode(errorCode);
}

function byRecipient<Item extends { readonly to: string }>(items: Iterable<Item>): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const group = groups.get(item.to);
    if (group === undefined) groups.set(item.to, [item]);
    else group.push(item);
  }
  return groups;
}

function isSame(expected: ExpectedSms | null, { accountSid, to, from, body }: SimulatedMessage): boolean {
  return (
    expected !== null &&
    expected.accountSid === accountSid &&
    expected.to === to &&
    expected.from === from &&
    expected.body === body
  );
}

function describe(row: FallbackRow): string {
  const { id, original_message_sid, state, reason, attempts, sms_message_sid, never_sent_sids } = row;
  const earlier = never_sent_sids.map((sid) => `${sid} never sent`);
  const end = [state, reason, `${String(attempts)} attempts`, ...earlier, sms_message_sid];
  return `[fallback ${id} of ${original_message_sid}: ${end.filter((item) => item !== null).join(', ')}]`;
}
