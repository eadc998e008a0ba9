import { describe, expect, it } from '@jest/globals';
import { MAIN_ACCOUNT } from '../../chaos/accounts.js';
import { type FallbackRow, judgeSms } from '../../chaos/findings.js';
import { countKinds } from '../../chaos/kinds.js';
import type { CallbackTimes } from '../../chaos/ledger.js';
import type { PlannedMessage } from '../../chaos/planned-message.js';
import type { SimulatedMessage } from '../../simulator/message.js';

const original: PlannedMessage = {
  id: 'a message',
  conversationId: 'a conversation',
  sid: 'SM-original',
  accountSid: MAIN_ACCOUNT.sid,
  to: '+15550000001',
  userId: null,
  isToUserId: false,
  numberToldBy: null,
  text: 'Hello',
  storedBody: 'Hello',
  company: { id: 'a company', phoneNumber: '+14440000001' },
  sentAfter: 0,
  storedAfter: null,
  steps: [],
  fails: true,
};

/** Milliseconds since the start of the run, like every time here. */
const SENT_AT = 1_000;
const FAILED_AT = 2_000;
const SMS_AT = 3_000;
const RESENT_AT = 14_000;

const sms: SimulatedMessage = {
  sid: 'SM-sms',
  accountSid: MAIN_ACCOUNT.sid,
  to: original.to,
  from: '+14440000001',
  body: 'Hello',
  mediaCount: 0,
  status: 'sent',
  dateCreated: new Date(SMS_AT),
  dateUpdated: new Date(SMS_AT),
  parameters: {},
};

const fallback: FallbackRow = {
  id: 'a fallback',
  original_message_sid: original.sid,
  state: 'sent',
  reason: null,
  attempts: 1,
  sms_message_sid: sms.sid,
  never_sent_sids: [],
};

/** A callback of a message: its start, and whether it was acknowledged half a second later. */
interface ToldStatus {
  readonly sid: string;
  readonly status: string;
  readonly at: number;
  readonly isAcknowledged?: boolean;
}

function timesOf(told: readonly ToldStatus[]): CallbackTimes {
  const earliest = (delay: number) => (messageSid: string, statuses?: readonly string[]) => {
    const times = told
      .filter(({ sid, status }) => sid === messageSid && (statuses?.includes(status) ?? true))
      .filter(({ isAcknowledged = true }) => delay === 0 || isAcknowledged)
      .map(({ at }) => at + delay);
    return times.length === 0 ? null : Math.min(...times);
  };
  return { toldAt: earliest(0), acknowledgedAt: earliest(500) };
}

interface Case {
  originals?: readonly PlannedMessage[];
  sms?: readonly SimulatedMessage[];
  fallbacks?: readonly FallbackRow[];
  isTold?: boolean;
  told?: readonly ToldStatus[];
}

function evidenceOf({ originals = [original], isTold = true, told = [], ...evidence }: Case) {
  return {
    sms: [sms],
    fallbacks: [fallback],
    ...evidence,
    originals: new Map(originals.map((item) => [item.sid, item])),
    isTold: () => isTold,
    sentAt: () => SENT_AT,
    callbacks: timesOf([{ sid: original.sid, status: 'undelivered', at: FAILED_AT }, ...told]),
  };
}

/** The number of cases for each kind of problem. Correct cases are left out. */
function judge(evidence: Case) {
  const counts = Object.entries<string[]>({ ...judgeSms(evidenceOf(evidence)) }).map(
    ([name, cases]) => [name, cases.length] as const,
  );
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

type Cases = readonly [string, Case, Record<string, number>][];

const skipped = (reason: string): FallbackRow => ({
  ...fallback,
  state: 'skipped',
  reason,
  attempts: 0,
  sms_message_sid: null,
});

describe('the count at the end of a chaos run', () => {
  it.each<Cases[number]>([
    ['one SMS for one failure', {}, {}],
    ['no SMS', { sms: [], fallbacks: [] }, { missingSms: 1, missingFallbacks: 1 }],
    ['no SMS for a failure that the service was not told of', { sms: [], fallbacks: [], isTold: false }, {}],
    ['a second SMS', { sms: [sms, { ...sms, sid: 'SM-2' }] }, { secondSms: 1, liveSms: 1, unrecordedSms: 1 }],
    ['another text', { sms: [{ ...sms, body: 'Bye' }] }, { wrongSms: 1 }],
    ['another account', { sms: [{ ...sms, accountSid: 'AC-other' }] }, { wrongSms: 1 }],
    ['another sender', { sms: [{ ...sms, from: '+14440000002' }] }, { wrongSms: 1 }],
    ['a stranger', { sms: [{ ...sms, to: '+15550000009' }] }, { missingSms: 1, wrongSms: 1, wrongEnds: 1 }],
    [
      'an SMS for a message that was delivered',
      { originals: [{ ...original, fails: false }] },
      { secondSms: 1, wrongEnds: 1 },
    ],
    [
      'an SMS without a company',
      { originals: [{ ...original, company: null }] },
      { secondSms: 1, wrongEnds: 1 },
    ],
    [
      'no company, and skipped for that',
      {
        originals: [{ ...original, company: null }],
        sms: [],
        fallbacks: [skipped('conversation_without_company')],
      },
      {},
    ],
    [
      'skipped for another reason',
      { originals: [{ ...original, company: null }], sms: [], fallbacks: [skipped('no_sender_number')] },
      { wrongEnds: 1 },
    ],
    [
      'a fallback that is still open',
      { fallbacks: [{ ...fallback, state: 'uncertain' }] },
      { openFallbacks: 1, unrecordedSms: 1 },
    ],
    [
      'a fallback that gave up',
      { sms: [], fallbacks: [{ ...fallback, state: 'failed' }] },
      { missingSms: 1, wrongEnds: 1 },
    ],
    [
      'an SMS that Twilio does not know',
      { sms: [], fallbacks: [fallback] },
      { missingSms: 1, unrecordedSms: 1 },
    ],
    [
      'two failures with the same text to one person',
      {
        originals: [original, { ...original, sid: 'SM-original-2' }],
        sms: [sms, { ...sms, sid: 'SM-2' }],
        fallbacks: [
          fallback,
          { ...fallback, original_message_sid: 'SM-original-2', sms_message_sid: 'SM-2' },
        ],
      },
      {},
    ],
  ])('%s', (_, evidence, expected) => {
    expect(judge(evidence)).toEqual(expected);
  });
});

const toUserId: PlannedMessage = {
  ...original,
  userId: 'US.13490000001',
  isToUserId: true,
  numberToldBy: 'SM-earlier',
};

const earlier: PlannedMessage = {
  ...original,
  sid: 'SM-earlier',
  userId: toUserId.userId,
  text: 'An earlier one',
  fails: false,
};

const isUnknown = { sms: [], fallbacks: [skipped('recipient_number_unknown')] };

/** The time of the earlier message's callback. */
const tellsNumber = (at: number, isAcknowledged = true): ToldStatus[] => [
  { sid: earlier.sid, status: 'sent', at, isAcknowledged },
];

describe('the count of messages to a WhatsApp user ID', () => {
  const originals = [earlier, toUserId];
  it.each<Cases[number]>([
    ['an SMS to the number that was told before', { originals, told: tellsNumber(100) }, {}],
    [
      'no SMS although the number was told before',
      { originals, told: tellsNumber(100), ...isUnknown },
      { missingSms: 1, wrongEnds: 1 },
    ],
    ['an SMS to a number that was told late', { originals, told: tellsNumber(1_500) }, {}],
    ['no SMS to a number that was told late', { originals, told: tellsNumber(1_500), ...isUnknown }, {}],
    [
      'an SMS to a number of a callback that was not acknowledged',
      { originals, told: tellsNumber(100, false) },
      {},
    ],
    [
      'no SMS to a number of a callback that was not acknowledged',
      { originals, told: tellsNumber(100, false), ...isUnknown },
      {},
    ],
    ['no SMS to a number whose callback never came', { originals, ...isUnknown }, {}],
    ['an SMS to a number whose callback never came', { originals }, { secondSms: 1, wrongEnds: 1 }],
    [
      'no SMS where no message of the account names the number',
      { originals: [{ ...toUserId, numberToldBy: null }], ...isUnknown },
      {},
    ],
    [
      'an SMS where only another account names the number',
      { originals: [{ ...toUserId, numberToldBy: null }, earlier], told: tellsNumber(100) },
      { secondSms: 1, wrongEnds: 1 },
    ],
    [
      'an SMS to the digits of the ID',
      { originals: [{ ...toUserId, numberToldBy: null }], sms: [{ ...sms, to: '+13490000001' }] },
      { wrongSms: 1, wrongEnds: 1 },
    ],
    [
      'an unknown number, and skipped for another reason',
      { originals: [{ ...toUserId, numberToldBy: null }], sms: [], fallbacks: [skipped('no_recipient')] },
      { wrongEnds: 1 },
    ],
  ])('%s', (_, evidence, expected) => {
    expect(judge(evidence)).toEqual(expected);
  });
});

describe('the count of messages that WhatsApp delivers in the end', () => {
  const originals = [{ ...original, steps: [{ status: 'undelivered' }, { status: 'delivered' }] }];
  const isSkipped = { sms: [], fallbacks: [skipped('delivered_meanwhile')] };
  const deliveredAt = (at: number, isAcknowledged = true): Case => ({
    originals,
    told: [{ sid: original.sid, status: 'delivered', at, isAcknowledged }],
  });
  it.each<Cases[number]>([
    ['an SMS before the delivery', deliveredAt(60_000), {}],
    ['no SMS', { ...deliveredAt(2_500), ...isSkipped }, {}],
    ['an SMS at about the time of the delivery', deliveredAt(2_500), {}],
    [
      'an SMS long after the delivery',
      { ...deliveredAt(2_500), sms: [{ ...sms, dateCreated: new Date(15_001) }] },
      { lateSms: 1 },
    ],
    [
      'an SMS long after a delivery that was not acknowledged',
      { ...deliveredAt(2_500, false), sms: [{ ...sms, dateCreated: new Date(15_001) }] },
      {},
    ],
    [
      'an SMS after a delivery that was acknowledged before the failure was told',
      deliveredAt(1_200),
      { lateSms: 1, wrongEnds: 1 },
    ],
    [
      'no SMS after a delivery that was acknowledged before the failure was told',
      { ...deliveredAt(1_200), ...isSkipped },
      {},
    ],
    [
      'neither an SMS nor a fallback',
      { ...deliveredAt(2_500), sms: [], fallbacks: [] },
      { missingFallbacks: 1 },
    ],
    ['skipped for a delivery that never happened', isSkipped, { missingSms: 1, wrongEnds: 1 }],
  ])('%s', (_, evidence, expected) => {
    expect(judge(evidence)).toEqual(expected);
  });
});

const neverSent: SimulatedMessage = { ...sms, status: 'failed', errorCode: 30001 };
const resent: SimulatedMessage = { ...sms, sid: 'SM-resent', dateCreated: new Date(RESENT_AT) };
const neverSentAgain: SimulatedMessage = { ...neverSent, sid: resent.sid, dateCreated: resent.dateCreated };
const afterNeverSent: FallbackRow = {
  ...fallback,
  attempts: 2,
  sms_message_sid: resent.sid,
  never_sent_sids: [sms.sid],
};
const failedTwice: FallbackRow = {
  ...afterNeverSent,
  state: 'failed',
  reason: 'never_sent',
  sms_message_sid: null,
  never_sent_sids: [sms.sid, resent.sid],
};

/** The callback that reports an SMS's failure. */
const tellsFailure = (sid: string, at: number, isAcknowledged = true): ToldStatus => ({
  sid,
  status: 'failed',
  at,
  isAcknowledged,
});

describe('the count of SMS that Twilio accepts and never sends', () => {
  const once = [tellsFailure(sms.sid, 4_000)];
  const twice = [...once, tellsFailure(resent.sid, 15_000)];
  const again = { sms: [neverSent, resent], fallbacks: [afterNeverSent] };
  const both = [neverSent, neverSentAgain];
  it.each<Cases[number]>([
    ['one more SMS', { ...again, told: once }, {}],
    ['no other SMS', { sms: [neverSent], told: once }, { missingSms: 1, wrongEnds: 1 }],
    [
      'no other SMS for a failure that was not acknowledged',
      { sms: [neverSent], told: [tellsFailure(sms.sid, 4_000, false)] },
      {},
    ],
    ['one more SMS for it', { ...again, told: [tellsFailure(sms.sid, 4_000, false)] }, {}],
    ['one more SMS without a callback of the failure', again, { secondSms: 1, liveSms: 1, unrecordedSms: 1 }],
    [
      'one more SMS before the failure was told',
      { ...again, told: [tellsFailure(sms.sid, RESENT_AT + 1)] },
      { liveSms: 1 },
    ],
    [
      'one more SMS after another failure',
      { ...again, sms: [{ ...neverSent, errorCode: 30003 }, resent], told: once },
      { secondSms: 1 },
    ],
    ['two that failed', { sms: both, fallbacks: [failedTwice], told: twice }, {}],
    [
      'two that failed, recorded as sent',
      { sms: both, fallbacks: [afterNeverSent], told: twice },
      { wrongEnds: 1 },
    ],
    [
      'a third SMS after two that failed',
      {
        sms: [...both, { ...resent, sid: 'SM-3', dateCreated: new Date(30_000) }],
        fallbacks: [{ ...failedTwice, state: 'sent', reason: null, sms_message_sid: 'SM-3' }],
        told: twice,
      },
      { secondSms: 1 },
    ],
    [
      'given up after one that failed',
      { sms: [neverSent], fallbacks: [{ ...failedTwice, never_sent_sids: [sms.sid] }], told: once },
      { missingSms: 1, wrongEnds: 1 },
    ],
    [
      'given up although the second one was sent',
      { sms: [neverSent, resent], fallbacks: [failedTwice], told: once },
      { wrongEnds: 1, unrecordedSms: 1 },
    ],
    [
      'no other SMS after a delivery by WhatsApp',
      {
        originals: [{ ...original, steps: [{ status: 'delivered' }] }],
        sms: [neverSent],
        fallbacks: [{ ...skipped('delivered_meanwhile'), never_sent_sids: [sms.sid] }],
        told: [...once, { sid: original.sid, status: 'delivered', at: 5_000 }],
      },
      {},
    ],
    [
      'one more SMS for one of two originals with the same text',
      {
        originals: [original, { ...original, sid: 'SM-original-2' }],
        sms: [neverSent, { ...sms, sid: 'SM-2' }, resent],
        fallbacks: [
          afterNeverSent,
          { ...fallback, original_message_sid: 'SM-original-2', sms_message_sid: 'SM-2' },
        ],
        told: once,
      },
      {},
    ],
  ])('%s', (_, evidence, expected) => {
    expect(judge(evidence)).toEqual(expected);
  });

  it('says in the report how often each kind happened', () => {
    const evidence = evidenceOf({
      originals: [
        { ...original, steps: [{ status: 'delivered' }] },
        earlier,
        { ...toUserId, sid: 'SM-to-user-id' },
        { ...toUserId, sid: 'SM-to-unknown', numberToldBy: null },
      ],
      sms: [neverSent, resent],
      fallbacks: [
        afterNeverSent,
        { ...skipped('recipient_number_unknown'), original_message_sid: 'SM-to-unknown' },
      ],
      told: [...once, ...tellsNumber(100)],
    });
    expect(Object.fromEntries(countKinds(evidence))).toEqual({
      'failures of messages to a user ID, the number is known': 1,
      '… it may be known': 0,
      '… it is unknown': 1,
      'fallbacks skipped: recipient_number_unknown': 1,
      'policy failures that WhatsApp also delivers': 1,
      '… with an acknowledged failure': 1,
      '… with an SMS': 1,
      'fallbacks skipped: delivered_meanwhile': 0,
      'SMS that Twilio accepted and never sent': 1,
      '… of which the service knows': 1,
      'fallbacks with one more SMS': 1,
      'fallbacks failed: never_sent, after two SMS': 0,
    });
  });
});
