import type { EntityManager } from 'typeorm';
import type { Refusal } from './application-tables.js';

/** The messages whose status could not be recorded. */
export interface StatusRecording {
  /** SIDs of messages that the application has not stored, or not yet. */
  readonly missing: ReadonlySet<string>;
  /** SIDs to try again soon: another session has them locked. */
  readonly busy: ReadonlySet<string>;
  /** Why a status was refused, by SID. Trying again helps only after the application has changed. */
  readonly refused: ReadonlyMap<string, string>;
}

/** The SMS of a fallback. */
export interface SentSms {
  readonly messageSid: string;
  /** The conversation of the original; null if it has none. */
  readonly conversationId: string | null;
  readonly body: string;
}

/** What became of the rows of SMS. */
export interface SmsRecording {
  /** The ids of the rows by SID, including rows that were there before. */
  readonly added: ReadonlyMap<string, string>;
  /** Why a row could not be written now, by SID. */
  readonly busy: ReadonlyMap<string, string>;
  /** Why a row was refused, by SID. Trying again helps only after the application has changed. */
  readonly refused: ReadonlyMap<string, Refusal>;
}

/**
 * Port that writes to the application's messages. Its default writes to the table `messages`. Everything here happens
 * after the commit of the event log, which never depends on it. Its conformance suite is
 * testing/message-recorder-conformance.ts.
 */
export abstract class MessageRecorder {
  /**
   * Raises the status of messages; a status never falls. It must neither wait for the application's locks nor fail with
   * its errors: the transaction that it is called in goes on.
   * @param statuses the highest status by rank that Twilio has reported, by the message's SID.
   */
  abstract recordStatuses(
    manager: EntityManager,
    statuses: ReadonlyMap<string, string>,
  ): Promise<StatusRecording>;

  /** Adds the rows of SMS that Twilio has accepted, under the same conditions. Adding one again changes nothing. */
  abstract addSms(manager: EntityManager, sms: readonly SentSms[]): Promise<SmsRecording>;
}
