import { describe, expect, it } from '@jest/globals';
import { MessagePlanner, type PlannedMessage } from '../../chaos/planned-message.js';
import { Random } from '../../chaos/random.js';
import { FAILED, isNeverSentCode, smsPlan } from '../../chaos/status-steps.js';
import type { CallbackStep } from '../../simulator/callback-plan.js';
import type { SimulatedMessage } from '../../simulator/message.js';

const COMPANY = { id: 'a company', phoneNumber: '+14440000001' };

function plan(count: number, dropsCallbacks = false): PlannedMessage[][] {
  const planner = new MessagePlanner(new Random(7), [COMPANY], dropsCallbacks);
  return Array.from({ length: count }, () => planner.next());
}

/** Its position among the steps. -1: the message never has such a status. */
function placeOf(steps: readonly CallbackStep[], ...statuses: readonly string[]): number {
  return steps.findIndex(({ status }) => statuses.includes(status));
}

describe('the planned messages', () => {
  const messages = plan(4_000).flat();
  const failed = messages.filter(({ fails }) => fails);
  const toUserId = failed.filter(({ isToUserId }) => isToUserId);

  it('have people with a user ID whose number is known before, at about the same time, or never', () => {
    const told = toUserId.filter(({ numberToldBy }) => numberToldBy !== null);
    expect(told.filter(({ sentAfter }) => sentAfter >= 2_500).length).toBeGreaterThan(40);
    expect(told.filter(({ sentAfter }) => sentAfter < 2_500).length).toBeGreaterThan(10);
    expect(toUserId.filter(({ numberToldBy }) => numberToldBy === null).length).toBeGreaterThan(20);
  });

  it('name the number of a user ID in one message of the same account and in no other', () => {
    for (const { accountSid, userId, numberToldBy } of toUserId) {
      const telling = messages.filter((other) => other.userId === userId && !other.isToUserId);
      const ofAccount = telling.filter((other) => other.accountSid === accountSid);
      expect(ofAccount.map(({ sid }) => sid)).toEqual(numberToldBy === null ? [] : [numberToldBy]);
    }
    const ofOthers = messages.filter(
      ({ isToUserId, numberToldBy, userId }) =>
        isToUserId &&
        numberToldBy === null &&
        messages.some((other) => other.userId === userId && !other.isToUserId),
    );
    expect(ofOthers.length).toBeGreaterThan(5);
  });

  it('never derive the number of a planned person from the digits of a user ID', () => {
    const numbers = new Set(messages.map(({ to }) => to));
    const digits = toUserId.map(({ userId }) => `+${(userId ?? '').replaceAll(/\D/g, '')}`);
    expect(digits.every((number) => /^\+\d{7,15}$/.test(number) && !numbers.has(number))).toBe(true);
  });

  it('have deliveries before, with, and long after the failure', () => {
    const delivered = failed.filter(({ steps }) => placeOf(steps, 'delivered') >= 0);
    const isBefore = ({ steps }: PlannedMessage) => placeOf(steps, 'delivered') < placeOf(steps, ...FAILED);
    const isLong = ({ steps }: PlannedMessage) =>
      steps.some(({ status, delayMilliseconds = 0 }) => status === 'delivered' && delayMilliseconds >= 3_000);
    expect(delivered.filter(isBefore).length).toBeGreaterThan(20);
    expect(delivered.filter(isLong).length).toBeGreaterThan(20);
    expect(delivered.filter((message) => !isBefore(message) && !isLong(message)).length).toBeGreaterThan(20);
  });

  it('drop callbacks only if the service polls', () => {
    const isDropped = ({ steps }: PlannedMessage) => steps.some(({ dropped }) => dropped === true);
    expect(messages.filter(isDropped)).toEqual([]);
    expect(plan(500, true).flat().filter(isDropped).length).toBeGreaterThan(20);
  });
});

describe('the messages of a refused campaign', () => {
  it('all fail, to different people', () => {
    const planner = new MessagePlanner(new Random(7), [COMPANY], false);
    const refused = Array.from({ length: 500 }, () => planner.refused());
    for (const { fails, steps } of refused) {
      expect(fails).toBe(true);
      expect(placeOf(steps, ...FAILED)).toBeGreaterThanOrEqual(0);
    }
    expect(new Set(refused.map(({ to }) => to)).size).toBe(500);
  });
});

describe('the plan of the SMS', () => {
  const sms = (to: string): SimulatedMessage => ({
    sid: 'SM-sms',
    accountSid: 'AC-any',
    to,
    body: 'Hello',
    mediaCount: 0,
    status: 'queued',
    dateCreated: new Date(0),
    dateUpdated: new Date(0),
    parameters: {},
  });

  it('has some SMS that are never sent, a share of them twice', () => {
    const callbacks = smsPlan(new Random(7));
    const isNeverSent = (to: string) =>
      callbacks(sms(to)).some(({ errorCode }) => isNeverSentCode(errorCode));
    const people = Array.from({ length: 4_000 }, (_, index) => `+1555${String(index).padStart(7, '0')}`);
    const once = people.filter(isNeverSent);
    const twice = once.filter(isNeverSent);
    expect(once.length).toBeGreaterThan(200);
    expect(once.length).toBeLessThan(600);
    expect(twice.length).toBeGreaterThan(40);
    expect(twice.length).toBeLessThan(once.length / 2);
  });
});
