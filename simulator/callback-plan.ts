import type { SimulatedMessage } from './message.js';
import { inRandomOrder, randomNumbers } from './random.js';

/** One change of a message's status, and its callback. */
export interface CallbackStep {
  /** Any status, known to Twilio or not. */
  readonly status: string;
  readonly errorCode?: number;
  readonly errorMessage?: string;
  /** Milliseconds after the step before it (after the message's creation, for the first one); default 0. */
  readonly delayMilliseconds?: number;
  /** True: the status changes without a callback. */
  readonly dropped?: boolean;
  /** True: the next step does not wait for this callback's answer, so that both run at once. */
  readonly concurrent?: boolean;
}

/** Returns the steps of a message after its creation. */
export type CallbackPlan = (message: SimulatedMessage) => readonly CallbackStep[];

/**
 * The usual course: `queued` only with a Messaging Service (a first status has no callback, and without a service
 * `queued` is the first), then `sent`, then `delivered`.
 */
export const delivered: CallbackPlan = (message) => [
  ...(message.messagingServiceSid === undefined ? [] : [{ status: 'queued' }]),
  { status: 'sent' },
  { status: 'delivered' },
];

/** Nothing happens: the message keeps its first status. */
export const silent: CallbackPlan = () => [];

/**
 * Twilio accepts the message and never sends it. With a Messaging Service, a full queue looks like this (30001,
 * https://www.twilio.com/docs/errors/30001).
 */
export function neverSent(errorCode: number): CallbackPlan {
  return (message) => [
    ...(message.messagingServiceSid === undefined ? [] : [{ status: 'queued' }]),
    { status: 'failed', errorCode },
  ];
}

/** Plays these steps one after the other; each waits for the answer to the one before it. */
export function inOrder(...steps: readonly CallbackStep[]): CallbackPlan {
  return () => steps;
}

/** The first plan for each recipient's first message, the second for the second, …; the last one for all others. */
export function sequence(first: CallbackPlan, ...others: readonly CallbackPlan[]): CallbackPlan {
  const sidsByRecipient = new Map<string, string[]>();
  return (message) => {
    const sids = sidsByRecipient.get(message.to) ?? [];
    // A repeated call for the same message returns the same plan.
    if (!sids.includes(message.sid)) sidsByRecipient.set(message.to, [...sids, message.sid]);
    const earlier = sids.includes(message.sid) ? sids.indexOf(message.sid) : sids.length;
    const plan = [first, ...others][Math.min(earlier, others.length)] ?? first;
    return plan(message);
  };
}

/** The plan's steps, last first. */
export function reversed(plan: CallbackPlan): CallbackPlan {
  return (message) => plan(message).toReversed();
}

/** The plan's steps in an order that depends only on the seed, so that a failing test can be reproduced. */
export function shuffled(plan: CallbackPlan, seed: number): CallbackPlan {
  return (message) => inRandomOrder(plan(message), randomNumbers(seed));
}

/** Each of the plan's steps `times` times in a row. */
export function repeated(plan: CallbackPlan, times: number): CallbackPlan {
  return (message) => plan(message).flatMap((step) => Array.from({ length: times }, () => step));
}

/** The plan without the callbacks of the steps that match the predicate. */
export function dropped(plan: CallbackPlan, isDropped: (step: CallbackStep) => boolean): CallbackPlan {
  return (message) => plan(message).map((step) => (isDropped(step) ? { ...step, dropped: true } : step));
}

/** The plan, in which no callback waits for the answer to the one before it. */
export function concurrent(plan: CallbackPlan): CallbackPlan {
  return (message) => plan(message).map((step) => ({ ...step, concurrent: true }));
}

/** The plan, with this pause in milliseconds before each step that names none of its own. */
export function paced(plan: CallbackPlan, delayMilliseconds: number): CallbackPlan {
  return (message) => plan(message).map((step) => ({ delayMilliseconds, ...step }));
}
