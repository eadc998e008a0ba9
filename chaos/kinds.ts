import { isEverDelivered, numberKnowledge } from './expectations.js';
import { type Evidence, isNeverSent } from './findings.js';
import { FAILED } from './status-steps.js';

/** Counts each special kind of message, in the order of the report. */
export function countKinds(evidence: Evidence): Map<string, number> {
  return new Map([...countUserIds(evidence), ...countDeliveries(evidence), ...countNeverSent(evidence)]);
}

type Counts = readonly (readonly [string, number])[];

function countUserIds(evidence: Evidence): Counts {
  const { originals, fallbacks } = evidence;
  const failed = [...originals.values()].filter(({ fails, isToUserId }) => fails && isToUserId);
  const numbers = failed.map((original) => numberKnowledge(original, evidence));
  return [
    ['failures of messages to a user ID, the number is known', count(numbers, (it) => it === 'known')],
    ['… it may be known', count(numbers, (it) => it === 'perhaps')],
    ['… it is unknown', count(numbers, (it) => it === 'unknown')],
    ['fallbacks skipped: recipient_number_unknown', count(fallbacks, isSkipped('recipient_number_unknown'))],
  ];
}

function countDeliveries({ originals, fallbacks, callbacks }: Evidence): Counts {
  const delivered = [...originals.values()].filter((original) => original.fails && isEverDelivered(original));
  const sids = new Set(delivered.map(({ sid }) => sid));
  const isSent = ({ original_message_sid: sid, state }: Row) => state === 'sent' && sids.has(sid);
  return [
    ['policy failures that WhatsApp also delivers', delivered.length],
    [
      '… with an acknowledged failure',
      count([...sids], (sid) => callbacks.acknowledgedAt(sid, FAILED) !== null),
    ],
    ['… with an SMS', count(fallbacks, isSent)],
    ['fallbacks skipped: delivered_meanwhile', count(fallbacks, isSkipped('delivered_meanwhile'))],
  ];
}

function countNeverSent({ sms, fallbacks, callbacks }: Evidence): Counts {
  const neverSent = sms.filter(isNeverSent);
  return [
    ['SMS that Twilio accepted and never sent', neverSent.length],
    [
      '… of which the service knows',
      count(neverSent, ({ sid }) => callbacks.acknowledgedAt(sid, FAILED) !== null),
    ],
    [
      'fallbacks with one more SMS',
      count(fallbacks, ({ never_sent_sids, state }) => never_sent_sids.length === 1 && state === 'sent'),
    ],
    [
      'fallbacks failed: never_sent, after two SMS',
      count(fallbacks, ({ never_sent_sids }) => never_sent_sids.length === 2),
    ],
  ];
}

type Row = Evidence['fallbacks'][number];

function isSkipped(reason: string): (row: Row) => boolean {
  return (row) => row.state === 'skipped' && row.reason === reason;
}

function count<Item>(items: readonly Item[], is: (item: Item) => boolean): number {
  return items.filter(is).length;
}
