import type { Fault } from '../simulator/faults.js';

/** The faults with their relative weights. */
export const FAULT_WEIGHTS = {
  kill: 50,
  terminate: 9,
  freeze: 4,
  stop_postgres: 6,
  cut_connections: 3,
  twilio_rate_limit: 4,
  twilio_error_before_accepting: 3,
  twilio_error_after_accepting: 4,
  twilio_reset_before_accepting: 3,
  twilio_reset_after_accepting: 4,
  twilio_hang_before_accepting: 2,
  twilio_hang_after_accepting: 3,
  twilio_late_answer: 2,
  twilio_reads_fail: 3,
  twilio_slow_list: 3,
} as const;

export type FaultKind = keyof typeof FAULT_WEIGHTS;

export type SendingFaultKind = keyof typeof SENDING_FAULTS;

export const FAULT_DESCRIPTIONS: Readonly<Record<FaultKind, string>> = {
  kill: 'kill -9 of a replica',
  terminate: 'SIGTERM to a replica',
  freeze: 'SIGSTOP of a replica, and SIGCONT',
  stop_postgres: 'PostgreSQL stopped with -m immediate',
  cut_connections: 'every connection of the service cut by PostgreSQL',
  twilio_rate_limit: 'Twilio answers 429 with Retry-After',
  twilio_error_before_accepting: 'Twilio answers 500 and has not accepted',
  twilio_error_after_accepting: 'Twilio answers 500 and has accepted',
  twilio_reset_before_accepting: 'Twilio resets and has not accepted',
  twilio_reset_after_accepting: 'Twilio resets and has accepted',
  twilio_hang_before_accepting: 'Twilio never answers and has not accepted',
  twilio_hang_after_accepting: 'Twilio never answers and has accepted',
  twilio_late_answer: 'Twilio answers after the SMS’s callbacks',
  twilio_reads_fail: 'Twilio’s list and messages answer 500',
  twilio_slow_list: 'Twilio’s list is behind',
};

/** The faults of a POST that hands an SMS to Twilio. */
export const SENDING_FAULTS = {
  twilio_rate_limit: { type: 'error', status: 429, code: 20429, retryAfterSeconds: 2 },
  twilio_error_before_accepting: { type: 'error', status: 500, code: 20500 },
  twilio_error_after_accepting: { type: 'errorAfterAccepting' },
  twilio_reset_before_accepting: { type: 'resetBeforeAccepting' },
  twilio_reset_after_accepting: { type: 'resetAfterAccepting' },
  twilio_hang_before_accepting: { type: 'hangBeforeAccepting' },
  twilio_hang_after_accepting: { type: 'hangAfterAccepting' },
  twilio_late_answer: { type: 'answerAfterCallbacks' },
} as const satisfies Partial<Record<FaultKind, Fault>>;
