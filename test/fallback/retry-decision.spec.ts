import { describe, expect, it } from '@jest/globals';
import { decideRetry, type RetryCandidate, type RetryDecision } from '../../src/fallback/retry-decision.js';

const failed: RetryCandidate = {
  state: 'failed',
  reason: 'rejected_by_twilio',
  attempts: 1,
  lastErrorCode: '21606',
  isLocked: false,
  isReported: false,
  isErased: false,
  isDelivered: false,
  isTooLate: false,
};

const cases: [what: string, candidate: Partial<RetryCandidate>, decision: RetryDecision][] = [
  ['sent', { state: 'sent', reason: null }, 'sent_before'],
  ['sent, and delivered by WhatsApp too', { state: 'sent', reason: null, isDelivered: true }, 'sent_before'],
  ['rejected', {}, 'claimed_again'],
  ['not taken by Twilio', { reason: 'twilio_unavailable', attempts: 7 }, 'claimed_again'],
  ['skipped', { state: 'skipped', reason: 'no_text', attempts: 0 }, 'claimed_again'],
  [
    'skipped after an attempt that Twilio did not take',
    { state: 'skipped', reason: 'no_text' },
    'claimed_again',
  ],
  ['unanswered', { reason: 'no_answer_from_twilio' }, 'settled_first'],
  ['failed for a reason that is not known here', { reason: 'something_new' }, 'settled_first'],
  ['failed for such a reason before any attempt', { reason: 'something_new', attempts: 0 }, 'claimed_again'],
  ['rejected, but an SMS has called back', { isReported: true }, 'settled_first'],
  ['failed, but delivered by WhatsApp', { isDelivered: true }, 'delivered_by_whatsapp'],
  ['rejected because the person has opted out', { lastErrorCode: '21610' }, 'opted_out'],
  ['opted out, and too late', { lastErrorCode: '21610', isTooLate: true }, 'opted_out'],
  [
    'opted out after another end was expected',
    { reason: 'no_answer_from_twilio', lastErrorCode: '21610' },
    'opted_out',
  ],
  ['opted out, but an SMS has called back', { lastErrorCode: '21610', isReported: true }, 'opted_out'],
  ['opted out, and erased since', { lastErrorCode: '21610', isErased: true }, 'erased'],
  ['rejected for an invalid number', { lastErrorCode: '21211' }, 'recipient_rejected'],
  ['rejected for a short code', { lastErrorCode: '21265' }, 'recipient_rejected'],
  ['rejected for a number that is not mobile', { lastErrorCode: '21614' }, 'recipient_rejected'],
  ['rejected for a landline', { lastErrorCode: '21635' }, 'recipient_rejected'],
  ['rejected for a country that is not allowed', { lastErrorCode: '21408' }, 'claimed_again'],
  ['under way after a rejection', { state: 'claimed', reason: 'sender_refused' }, 'due_now'],
  ['rejected, and erased since', { isErased: true }, 'erased'],
  ['unanswered, and erased since', { reason: 'no_answer_from_twilio', isErased: true }, 'erased'],
  ['sent, and erased since', { state: 'sent', reason: null, isErased: true }, 'sent_before'],
  ['waiting', { state: 'claimed', reason: null }, 'due_now'],
  ['being settled', { state: 'uncertain', reason: 'no_answer_from_twilio' }, 'due_now'],
  ['left behind while sending', { state: 'sending', reason: null }, 'due_now'],
  ['sending', { state: 'sending', reason: null, isLocked: true }, 'in_progress'],
];

describe('a retry of a fallback', () => {
  it.each(cases)('decides about one that is %s', (_, candidate, decision) => {
    expect(decideRetry({ ...failed, ...candidate })).toBe(decision);
  });
});
