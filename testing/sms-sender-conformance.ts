import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import {
  type AcceptedSms,
  asSearch,
  type SendResult,
  type Sms,
  type SmsSender,
} from '../src/fallback/sms-sender.js';
import { type ConformanceCase, conformanceCases, type ConformanceSetup, resultOf } from './conformance.js';

/** An SmsSender, and what the suite needs from the provider behind it. */
export interface SmsSenderSetup extends ConformanceSetup {
  readonly sender: SmsSender;
  /** An SMS that the provider accepts. The suite fills in the other fields. */
  readonly sms: Omit<Sms, 'body' | 'to' | 'reference' | 'originalMessageSid'>;
  /** The texts that the provider accepted for this recipient, the oldest first. */
  readonly acceptedFor: (to: string) => readonly string[] | Promise<readonly string[]>;
  /** The provider refuses the next SMS permanently. */
  readonly rejectNext: () => unknown;
  /** The provider refuses the next SMS temporarily, e.g. because of a rate limit. */
  readonly refuseNextForNow: () => unknown;
  /** The provider accepts the next SMS, and its answer is lost. */
  readonly loseNextAnswer: () => unknown;
  /** The provider neither accepts nor answers the next SMS. */
  readonly hangNext: () => unknown;
  /** The provider's next list request fails. */
  readonly failNextLook: () => unknown;
  /** Makes the provider's list hide what identifies an SMS. Omit it for a provider that hides nothing. */
  readonly hideFromNow?: () => unknown;
}

/** The contract of SmsSender that the fallback relies on. */
export function smsSenderConformance(
  open: () => SmsSenderSetup | Promise<SmsSenderSetup>,
): readonly ConformanceCase[] {
  return conformanceCases(open, {
    'sends an SMS once and returns its SID and status': async (setup) => {
      const sms = newSms(setup);
      const { messageSid, status } = await accepted(setup, sms);
      assert.notEqual(messageSid, '', 'The SID is empty');
      assert.notEqual(status, '', 'The status is empty');
      await assertAccepted(setup, sms.to, [sms.body]);
    },

    'sends the text unchanged, at its full length': async (setup) => {
      const sms = newSms(setup, 'Grüße 👋\n'.padEnd(1_600, 'é'));
      await accepted(setup, sms);
      await assertAccepted(setup, sms.to, [sms.body]);
    },

    'gives each SMS its own SID, even if two are alike': async (setup) => {
      const { first, second, sids } = await sendTwoAlike(setup);
      assert.notEqual(sids[0], sids[1], 'Two SMS have the same SID');
      await assertAccepted(setup, first.to, [first.body, second.body]);
    },

    'returns rejected, with a code, only for an SMS that is never sent': async (setup) => {
      await setup.rejectNext();
      const sms = newSms(setup);
      const result = await send(setup, sms, 'rejected');
      assert.ok('code' in result && result.code !== '', 'The code is missing');
      await assertAccepted(setup, sms.to, []);
      assert.deepEqual(await find(setup, sms), []);
    },

    'returns not_processed for an SMS that can be sent again, and does not resend it by itself': async (
      setup,
    ) => {
      await setup.refuseNextForNow();
      const sms = newSms(setup);
      await send(setup, sms, 'not_processed');
      await assertAccepted(setup, sms.to, []);
      await accepted(setup, sms);
      await assertAccepted(setup, sms.to, [sms.body]);
    },

    'returns ambiguous if the answer was lost, does not resend, and finds the SMS': async (setup) => {
      await setup.loseNextAnswer();
      const sms = newSms(setup);
      await send(setup, sms, 'ambiguous');
      await assertAccepted(setup, sms.to, [sms.body]);
      const found = await find(setup, sms);
      assert.equal(found.length, 1, 'The SMS was not found once');
      assert.notEqual(found[0], '', 'The SID is empty');
    },

    'returns ambiguous within 15 seconds if no answer comes': async (setup) => {
      await setup.hangNext();
      const sms = newSms(setup);
      await send(setup, sms, 'ambiguous');
      assert.deepEqual(await find(setup, sms), []);
    },

    'finds each of two SMS that are alike, by the SID that it returned': async (setup) => {
      const { first, second, sids } = await sendTwoAlike(setup);
      for (const [sms, sid] of [
        [first, sids[0]],
        [second, sids[1]],
      ] as const) {
        const found = await find(setup, sms);
        // A provider that keeps the reference may leave out the other one.
        assert.ok(found.includes(sid), `${sid} was not found`);
        assert.ok(found.every((one) => sids.includes(one)) && found.length <= 2, 'Others were found too');
      }
    },

    'finds no SMS with another text or to another recipient, and none from before': async (setup) => {
      const sms = newSms(setup);
      await accepted(setup, sms);
      assert.deepEqual(await find(setup, { ...newSms(setup, 'Hello'), to: sms.to }), []);
      assert.deepEqual(await find(setup, newSms(setup)), []);
      assert.deepEqual(await find(setup, sms, inFiveMinutes()), []);
    },

    'rejects if it cannot look, which differs from finding none': async (setup) => {
      const sms = newSms(setup);
      await setup.failNextLook();
      const isFound = await setup.sender.findAccepted(sms, aMinuteAgo()).then(
        () => true,
        () => false,
      );
      assert.equal(isFound, false, 'findAccepted() resolved although it could not look');
      assert.deepEqual(await find(setup, sms), []);
    },

    'says that an SMS may have been accepted if the provider hides what tells one from another': async (
      setup,
    ) => {
      if (setup.hideFromNow === undefined) return;
      await setup.hideFromNow();
      await setup.loseNextAnswer();
      const sms = newSms(setup);
      await send(setup, sms, 'ambiguous');
      const search = asSearch(await setup.sender.findAccepted(sms, aMinuteAgo()));
      assert.deepEqual([...search.accepted], [], 'A hidden SMS counts as certain');
      assert.ok(search.possible.length > 0 || !search.complete, 'The search says that no SMS was accepted');
    },

    'finds none if the part that the provider shows differs or is from before': async (setup) => {
      if (setup.hideFromNow === undefined) return;
      await setup.hideFromNow();
      const sms = newSms(setup);
      await accepted(setup, sms);
      assert.deepEqual(await find(setup, { ...newSms(setup), to: '+15559990000' }), []);
      assert.deepEqual(await find(setup, sms, inFiveMinutes()), []);
    },
  });
}

const aMinuteAgo = () => new Date(Date.now() - 60_000);
const inFiveMinutes = () => new Date(Date.now() + 300_000);

let recipients = 0;

/** An SMS to a recipient of its own. */
function newSms({ sms }: SmsSenderSetup, body = 'Hello Ada'): Sms {
  recipients += 1;
  return {
    ...sms,
    to: `+1555${String(recipients).padStart(7, '0')}`,
    body,
    reference: randomUUID(),
    originalMessageSid: `SM${randomUUID().replaceAll('-', '')}`,
  };
}

async function send(setup: SmsSenderSetup, sms: Sms, expected: SendResult['outcome']): Promise<SendResult> {
  const result = await resultOf('send()', setup, () => setup.sender.send(sms));
  assert.equal(result.outcome, expected, `The outcome is ${result.outcome}, not ${expected}`);
  return result;
}

async function accepted(setup: SmsSenderSetup, sms: Sms): Promise<AcceptedSms> {
  const result = await send(setup, sms, 'accepted');
  return result.outcome === 'accepted' ? result : assert.fail();
}

/** Two SMS that differ in the reference only. */
async function sendTwoAlike(setup: SmsSenderSetup) {
  const first = newSms(setup);
  const second = { ...newSms(setup), to: first.to };
  const sids = [
    (await accepted(setup, first)).messageSid,
    (await accepted(setup, second)).messageSid,
  ] as const;
  return { first, second, sids };
}

async function assertAccepted(setup: SmsSenderSetup, to: string, bodies: readonly string[]): Promise<void> {
  assert.deepEqual([...(await setup.acceptedFor(to))], bodies, 'The provider accepted other SMS');
}

/** The SIDs of a search in which nothing is in doubt. */
async function find(setup: SmsSenderSetup, sms: Sms, since = aMinuteAgo()): Promise<readonly string[]> {
  const { accepted, possible, complete } = asSearch(await setup.sender.findAccepted(sms, since));
  assert.deepEqual([...possible], [], 'An SMS is in doubt');
  assert.equal(complete, true, 'The search is not complete');
  return accepted.map(({ messageSid }) => messageSid);
}
