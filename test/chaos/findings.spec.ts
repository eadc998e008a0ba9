import { describe, expect, it } from '@jest/globals';
import { MAIN_ACCOUNT } from '../../chaos/accounts.js';
import { type FallbackRow, judgeSms } from '../../chaos/findings.js';
import type { PlannedMessage } from '../../chaos/planned-message.js';
import type { SimulatedMessage } from '../../simulator/message.js';

const original: PlannedMessage = {
  id: 'a message',
  conversationId: 'a conversation',
  sid: 'SM-original',
  accountSid: MAIN_ACCOUNT.sid,
  to: '+15550000001',
  text: 'Hello',
  storedBody: 'Hello',
  company: { id: 'a company', phoneNumber: '+14440000001' },
  storedAfter: null,
  steps: [],
  fails: true,
};

const sms: SimulatedMessage = {
  sid: 'SM-sms',
  accountSid: MAIN_ACCOUNT.sid,
  to: original.to,
  from: '+14440000001',
  body: 'Hello',
  mediaCount: 0,
  status: 'sent',
  dateCreated: new Date(),
  dateUpdated: new Date(),
  parameters: {},
};

const fallback: FallbackRow = {
  id: 'a fallback',
  original_message_sid: original.sid,
  state: 'sent',
  reason: null,
  attempts: 1,
  sms_message_sid: sms.sid,
};

interface Case {
  originals?: readonly PlannedMessage[];
  sms?: readonly SimulatedMessage[];
  fallbacks?: readonly FallbackRow[];
  isTold?: boolean;
}

/** How many cases there are of what is wrong; what is right is left out. */
function judge({ originals = [original], isTold = true, ...evidence }: Case) {
  const findings = judgeSms({
    sms: [sms],
    fallbacks: [fallback],
    ...evidence,
    originals: new Map(originals.map((item) => [item.sid, item])),
    isTold: () => isTold,
  });
  const counts = Object.entries<string[]>({ ...findings }).map(
    ([name, cases]) => [name, cases.length] as const,
  );
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

describe('the count at the end of a chaos run', () => {
  it.each<[string, Case, Record<string, number>]>([
    ['one SMS for one failure', {}, {}],
    ['no SMS', { sms: [], fallbacks: [] }, { missingSms: 1 }],
    ['no SMS for a failure that nobody told of', { sms: [], fallbacks: [], isTold: false }, {}],
    ['a second SMS', { sms: [sms, { ...sms, sid: 'SM-2' }] }, { secondSms: 1, unrecordedSms: 1 }],
    ['another text', { sms: [{ ...sms, body: 'Bye' }] }, { wrongSms: 1 }],
    ['another account', { sms: [{ ...sms, accountSid: 'AC-other' }] }, { wrongSms: 1 }],
    ['another sender', { sms: [{ ...sms, from: '+14440000002' }] }, { wrongSms: 1 }],
    ['a stranger', { sms: [{ ...sms, to: '+15550000009' }] }, { missingSms: 1, wrongSms: 1 }],
    [
      'an SMS for a message that was delivered',
      { originals: [{ ...original, fails: false }] },
      { secondSms: 1, wrongEnds: 1 },
    ],
    [
      'an SMS where there is no company',
      { originals: [{ ...original, company: null }] },
      { secondSms: 1, wrongEnds: 1 },
    ],
    [
      'a fallback that is not at an end',
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
  ])('%s', (_, evidence, expected) => {
    expect(judge(evidence)).toEqual(expected);
  });
});
