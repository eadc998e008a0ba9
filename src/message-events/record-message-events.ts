import type { EntityManager } from 'typeorm';
import { stringifyExactly } from './exact-json.js';
import { STATUSES_BY_RANK } from './message-status.js';

export interface Recording {
  /** The ids of the events that are new. */
  readonly added: ReadonlySet<string>;
  /** The SIDs whose row in `messages` could not be updated: it is locked, or there is a problem. */
  readonly unlinked: ReadonlySet<string>;
  readonly problem: string | null;
}

interface RecordingRow {
  /** Nearly always true. Then `added` is left out, because the ids are known. */
  readonly all_are_new: boolean;
  readonly added: string[] | null;
  readonly unlinked: string[] | null;
  readonly problem: string | null;
}

/**
 * Connections prepare this statement (src/app.module.ts) with its result columns, so a migration that changes those
 * must rename the function.
 */
export const RECORD_MESSAGE_EVENTS = `select all_are_new, case when not all_are_new then added end as added, unlinked, problem
     from record_message_events($1, $2, $3)
    cross join lateral (values (coalesce(cardinality(added), 0) = $4)) as comparison (all_are_new)`;

/** The same statement, never prepared: if connections share a session, callbacks would find it already prepared. */
const REHEARSE_MESSAGE_EVENTS = `${RECORD_MESSAGE_EVENTS} -- rehearsed`;

/**
 * Calls `record_message_events` of migrations/create_record_message_events_function.sql.
 * @param rows new rows of `message_events`; if empty, only the rows of `messages` are updated from existing events.
 * @param messageSids the SIDs of the messages to update.
 * @param isRehearsal whether everything will be rolled back.
 */
export async function recordMessageEvents(
  manager: EntityManager,
  rows: readonly { readonly id: string }[],
  messageSids: ReadonlySet<string>,
  isRehearsal = false,
): Promise<Recording> {
  const statement = isRehearsal ? REHEARSE_MESSAGE_EVENTS : RECORD_MESSAGE_EVENTS;
  const [recorded] = await manager.query<RecordingRow[]>(statement, [
    stringifyExactly(rows),
    [...messageSids],
    STATUSES_BY_RANK,
    rows.length,
  ]);
  return {
    added: new Set(recorded?.all_are_new === true ? rows.map(({ id }) => id) : recorded?.added),
    unlinked: new Set(recorded?.unlinked),
    problem: recorded?.problem ?? null,
  };
}
