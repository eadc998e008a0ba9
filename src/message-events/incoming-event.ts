import { randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import type { MessageStatusReport } from './message-status-report.js';

/** A report with the id that its event gets, unless it is a repeat. */
export interface IncomingEvent {
  readonly id: string;
  readonly report: MessageStatusReport;
}

/** The length of a UUID. */
const BYTES = 16;

/**
 * Gives reports that are stored together their ids: UUIDs of version 7, which sort in the reports' order. All random
 * bytes are drawn at once, since one draw of any size takes five times as long as the rest of the work for an id.
 */
export function incomingEvents(reports: readonly MessageStatusReport[]): IncomingEvent[] {
  const random = randomBytes(BYTES * reports.length + BYTES);
  const msecs = Date.now();
  // Half of the sequence's range, so that it does not overflow.
  const sequence = random.readUInt32BE(BYTES * reports.length) >>> 1;
  return reports.map((report, index) => ({
    id: uuidv7({
      msecs,
      seq: sequence + index,
      random: random.subarray(BYTES * index, BYTES * index + BYTES),
    }),
    report,
  }));
}
