import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { checkReason, type FallbackPolicy, type PolicyDecision } from '../src/fallback/fallback-policy.js';
import type { WhatsappPolicyFailed } from '../src/message-events/policy-failure.js';
import type { OriginalMessage } from '../src/messages/original-messages.js';
import { type ConformanceCase, conformanceCases, type ConformanceSetup, resultOf } from './conformance.js';

/** A failure that a policy is asked about. */
export interface PolicyQuestion {
  readonly event: WhatsappPolicyFailed;
  readonly original: OriginalMessage;
}

/** A FallbackPolicy, and what it may be asked. */
export interface FallbackPolicySetup extends ConformanceSetup {
  readonly policy: FallbackPolicy;
  /** Questions in addition to the suite's own, e.g. one for each rule of the policy. */
  readonly questions?: readonly PolicyQuestion[];
}

/** The contract of FallbackPolicy that the fallback relies on. What it decides is up to the policy. */
export function fallbackPolicyConformance(
  open: () => FallbackPolicySetup | Promise<FallbackPolicySetup>,
): readonly ConformanceCase[] {
  return conformanceCases(open, {
    'decides about every failure, whatever is missing': async (setup) => {
      for (const question of questionsOf(setup)) await decide(setup, question);
    },

    'returns a decision, with a reason that a row can keep, or with a valid time': async (setup) => {
      for (const question of questionsOf(setup)) assertValid(await decide(setup, question));
    },

    'decides the same if it is asked again': async (setup) => {
      for (const question of questionsOf(setup)) {
        const [first, second] = [await decide(setup, question), await decide(setup, question)];
        assert.deepEqual(withoutTime(second), withoutTime(first));
      }
    },

    'leaves the event and the original as they are': async (setup) => {
      for (const question of questionsOf(setup)) {
        const asked = structuredClone(question);
        await decide(setup, asked);
        assert.deepEqual(
          structuredClone(asked),
          structuredClone(question),
          'The policy has changed its arguments',
        );
      }
    },
  });
}

/** A failure with everything that can be known, and some with less. */
function questionsOf({ questions = [] }: FallbackPolicySetup): readonly PolicyQuestion[] {
  const id = randomUUID();
  const event: WhatsappPolicyFailed = {
    id,
    occurredAt: new Date().toISOString(),
    messageEventId: id,
    messageSid: `SM${'1'.repeat(32)}`,
    accountSid: `AC${'1'.repeat(32)}`,
    messageStatus: 'undelivered',
    errorCode: '63049',
    toNumber: '+15557654321',
    userId: 'US.13491208655302741918',
    parentUserId: 'US.ENT.11815799212886844830',
    callbackUrl: 'https://hooks.example.com/api/webhooks/twilio/message-status',
  };
  const original: OriginalMessage = {
    id: '1',
    body: 'Your appointment is tomorrow at 10:00.',
    conversationId: '2',
    company: { id: '3', phoneNumber: '+15550001111' },
    createdAt: new Date(),
    recipient: '+15557654321',
    contentSid: `HX${'1'.repeat(32)}`,
    contentVariables: { '1': 'Ada' },
  };
  const bare: OriginalMessage = { id: '1', body: null, conversationId: null, company: null };
  return [
    { event, original },
    { event: { ...event, messageStatus: 'failed' }, original },
    // A failure of another code that the options count, and one whose row in the log is deleted.
    { event: { ...event, errorCode: '63024' }, original },
    { event: { ...event, errorCode: '' }, original },
    { event: { ...event, toNumber: null }, original: { ...original, recipient: null } },
    { event: { ...event, userId: null, parentUserId: null, callbackUrl: null }, original },
    { event, original: { ...original, company: { id: '3', phoneNumber: null } } },
    { event, original: bare },
    ...questions,
  ];
}

function decide(setup: FallbackPolicySetup, { event, original }: PolicyQuestion): Promise<PolicyDecision> {
  return resultOf('decide()', setup, async () => setup.policy.decide(event, original));
}

function assertValid(decision: PolicyDecision): void {
  switch (decision.kind) {
    case 'send':
      break;
    case 'skip':
      assert.doesNotThrow(() => checkReason(decision.reason));
      break;
    case 'wait':
      assert.ok(!Number.isNaN(new Date(decision.until).getTime()), 'The time is not valid');
      break;
    default:
      assert.fail(`${JSON.stringify(decision)} is not a decision`);
  }
}

/** A time may depend on the current one. */
function withoutTime(decision: PolicyDecision): PolicyDecision {
  return decision.kind === 'wait' ? { ...decision, until: new Date(0) } : { ...decision };
}
