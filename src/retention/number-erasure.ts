import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { IS_ENDED } from '../fallback/sms-fallback-state.js';
import { eraseFallbacks } from './erase-fallbacks.js';

/** In one statement, so that none keeps others waiting for long. */
const BATCH = 1_000;

/** What of a telephone number is stored. */
export interface NumberTraces {
  readonly events: number;
  /** Fallbacks that are at an end. */
  readonly fallbacks: number;
  readonly rejectedCallbacks: number;
  /** Fallbacks that still need the number to send their SMS; they are left alone. */
  readonly openFallbacks: number;
}

/**
 * Takes a person's number, and all that was said to it, out of the service's own tables. The rows stay, with their
 * statuses, codes and times, so that nothing that is counted changes; so do the SIDs, by which Twilio knows the messages.
 */
@Injectable()
export class NumberErasure {
  constructor(private readonly dataSource: DataSource) {}

  /** @param number in E.164. Nothing is changed. */
  async find(number: string): Promise<NumberTraces> {
    const [traces] = await this.dataSource.query<NumberTraces[]>(FIND, [number]);
    return traces ?? { events: 0, fallbacks: 0, rejectedCallbacks: 0, openFallbacks: 0 };
  }

  /** @returns what was erased, and what was left alone. */
  async erase(number: string): Promise<NumberTraces> {
    // Before the events: a fallback that is open now needs those of its SMS.
    const fallbacks = await this.repeat(ERASE_FALLBACKS, number);
    const events = await this.repeat(ERASE_EVENTS, number);
    const rejectedCallbacks = await this.repeat(ERASE_REJECTED_CALLBACKS, number);
    await this.dataSource.query(DROP_EXHAUSTED_JOBS, [number]);
    const { openFallbacks } = await this.find(number);
    return { events, fallbacks, rejectedCallbacks, openFallbacks };
  }

  /**
   * @param statement locks the rows that it chooses, and so chooses others for those that somebody else takes away meanwhile:
   * fewer than it may are all that there are.
   */
  private async repeat(statement: string, number: string): Promise<number> {
    let total = 0;
    for (;;) {
      const [row] = await this.dataSource.query<{ rows: number }[]>(statement, [number, BATCH]);
      const erased = row?.rows ?? 0;
      total += erased;
      if (erased < BATCH) return total;
    }
  }
}

const FIND = `
select (select count(*) from message_events where to_number = $1)::int as events,
       (select count(*) from sms_fallbacks where to_number = $1 and ${IS_ENDED})::int as fallbacks,
       (select count(*) from rejected_callbacks where position(ltrim($1, '+') in payload::text) > 0)::int
         as "rejectedCallbacks",
       (select count(*) from sms_fallbacks where to_number = $1 and not ${IS_ENDED})::int as "openFallbacks"`;

/** By message_events_to_number_idx. The sender is kept: it is the company's. */
const ERASE_EVENTS = `
with found as (
  select id from message_events where to_number = $1 limit $2 for update
),
erased as (
  update message_events set to_number = null, error_message = null, payload = '{"erased": true}'
    from found where message_events.id = found.id
  returning found.id
)
select count(*)::int as rows from erased`;

/** By sms_fallbacks_to_number_idx. */
const ERASE_FALLBACKS = eraseFallbacks(
  `select id from sms_fallbacks where to_number = $1 and ${IS_ENDED} limit $2 for update`,
);

/** There are 10,000 at the most. The number may be in any parameter, with or without its plus. */
const ERASE_REJECTED_CALLBACKS = `
with found as (
  select id from rejected_callbacks where position(ltrim($1, '+') in payload::text) > 0 limit $2 for update
),
erased as (
  update rejected_callbacks set payload = '{"erased": true}'
    from found where rejected_callbacks.id = found.id
  returning found.id
)
select count(*)::int as rows from erased`;

/** Those that are done are gone, and those that wait are soon. */
const DROP_EXHAUSTED_JOBS = `
select graphile_worker.complete_jobs(array_agg(id)) from graphile_worker._private_jobs
 where attempts >= max_attempts and locked_at is null and payload->'event'->>'toNumber' = $1
having count(*) > 0`;
