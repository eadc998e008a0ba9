import { describe } from '@jest/globals';
import {
  at,
  type FallbackPolicy,
  type PolicyDecision,
  send,
  skip,
} from '../../src/fallback/fallback-policy.js';
import {
  fallbackPolicyConformance,
  type FallbackPolicySetup,
} from '../../testing/fallback-policy-conformance.js';
import { describeSuite, type Mutant } from './mutants.js';

/** Waits for messages of one company, and skips those of none. */
const open = (): FallbackPolicySetup => ({
  policy: {
    decide: ({ errorCode }, { company }) => {
      if (company === null) return skip('no_company');
      return errorCode === '63024' ? at(new Date(Date.now() + 60_000)) : Promise.resolve(send);
    },
  },
});

const decides =
  (decide: FallbackPolicy['decide'], more: Partial<FallbackPolicySetup> = {}) =>
  (): Partial<FallbackPolicySetup> => ({ policy: { decide }, ...more });

const EVERY = 'decides about every failure, whatever is missing';
const VALID = 'returns a decision, with a reason that a row can keep, or with a valid time';
const AGAIN = 'decides the same if it is asked again';
const UNCHANGED = 'leaves the event and the original as they are';

const known = { event: {}, original: { id: 'known' } } as NonNullable<
  FallbackPolicySetup['questions']
>[number];

const mutants: readonly Mutant<FallbackPolicySetup>[] = [
  [
    EVERY,
    'expects a company',
    decides((_, { company }) => {
      if (company === null) throw new TypeError('no company');
      return send;
    }),
  ],
  [
    EVERY,
    'expects a number',
    decides(({ toNumber }) => (toNumber === null ? Promise.reject(new Error('no number')) : send)),
  ],
  [EVERY, 'takes forever', decides(() => new Promise(() => undefined), { limitMilliseconds: 50 })],
  [
    EVERY,
    'throws for a question of its own',
    decides(
      (_, { id }) => {
        if (id === 'known') throw new Error('no');
        return send;
      },
      { questions: [known] },
    ),
  ],
  [VALID, 'gives a sentence as the reason', decides(() => skip('Not at night'))],
  [VALID, 'gives an empty reason', decides(() => skip(''))],
  [VALID, 'waits until an invalid date', decides(() => at(new Date('tonight')))],
  [VALID, 'returns something else', decides(() => ({ kind: 'later' }) as unknown as PolicyDecision)],
  [
    AGAIN,
    'sends each second time',
    () => {
      let times = 0;
      return { policy: { decide: () => ((times += 1) % 2 === 0 ? send : skip('odd')) } };
    },
  ],
  [
    UNCHANGED,
    'changes the event',
    decides((event) => {
      Object.assign(event, { toNumber: '+1' });
      return send;
    }),
  ],
  [
    UNCHANGED,
    'changes the original',
    decides((_, original) => {
      Object.assign(original, { body: 'Hi' });
      return send;
    }),
  ],
];

describe('fallbackPolicyConformance', () => {
  describeSuite<FallbackPolicySetup>(fallbackPolicyConformance, open, mutants);
});
