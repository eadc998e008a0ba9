import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { JOB_QUEUE_SCHEMA } from '../domain-events/domain-event-job.js';
import { isAbout, People, type Person, type PersonName } from '../message-events/people.js';
import { IS_ENDED } from '../fallback/sms-fallback-state.js';
import { eraseFallbacks } from './erase-fallbacks.js';

/** In one statement, so that none keeps others waiting for long. */
const BATCH = 1_000;

/** What is stored about a person. */
export interface PersonTraces {
  /** The numbers and the user IDs by which the person was looked for. */
  readonly person: Person;
  /** Those of open fallbacks are left out. */
  readonly events: number;
  /** Fallbacks that are at an end. */
  readonly fallbacks: number;
  readonly rejectedCallbacks: number;
  /** Fallbacks that still need the number to send their SMS; they are left alone. */
  readonly openFallbacks: number;
}

/**
 * Takes a person's numbers and user IDs, and all that was said to them, out of the service's own tables. The rows stay, with their
 * statuses, codes and times, so that nothing that is counted changes; so do the SIDs, by which Twilio knows the messages.
 */
@Injectable()
export class NumberErasure {
  constructor(
    private readonly dataSource: DataSource,
    private readonly people: People,
  ) {}

  /** Nothing is changed. */
  async find(name: PersonName): Promise<PersonTraces> {
    return this.count(await this.people.find(name));
  }

  /** @returns what was erased, and what was left alone. */
  async erase(name: PersonName): Promise<PersonTraces> {
    const person = await this.people.find(name);
    // First, so that the events of each fallback that has just ended follow it.
    const fallbacks = await this.repeat(ERASE_FALLBACKS, person);
    const events = await this.repeat(ERASE_EVENTS, person);
    const rejectedCallbacks = await this.repeat(ERASE_REJECTED_CALLBACKS, person);
    await this.dataSource.query(DROP_EXHAUSTED_JOBS, [person.numbers, person.userIds]);
    const { openFallbacks } = await this.count(person);
    return { person, events, fallbacks, rejectedCallbacks, openFallbacks };
  }

  private async count(person: Person): Promise<PersonTraces> {
    const [traces] = await this.dataSource.query<Omit<PersonTraces, 'person'>[]>(FIND, [
      person.numbers,
      person.userIds,
    ]);
    return { person, ...(traces ?? { events: 0, fallbacks: 0, rejectedCallbacks: 0, openFallbacks: 0 }) };
  }

  /**
   * @param statement locks the rows that it chooses, and so chooses others for those that somebody else takes away meanwhile:
   * fewer than it may are all that there are.
   */
  private async repeat(statement: string, { numbers, userIds }: Person): Promise<number> {
    let total = 0;
    for (;;) {
      const [row] = await this.dataSource.query<{ rows: number }[]>(statement, [numbers, userIds, BATCH]);
      const erased = row?.rows ?? 0;
      total += erased;
      if (erased < BATCH) return total;
    }
  }
}

const IS_ABOUT_PERSON = isAbout('$1', '$2');

/** What belongs to an open fallback stays until that ends: its number may be in an event only. */
const IS_SETTLED = `not exists (
  select from sms_fallbacks as fallback
   where (fallback.original_message_sid = message_sid or fallback.id = sms_fallback_id) and not ${IS_ENDED}
)`;

/**
 * A number may be in any parameter, with or without its plus. It is no part of a longer one, which is another person's;
 * neither is an ID.
 */
const NAMES_PERSON = `exists (
  select from (
    select ltrim(number, '+'), '(?<![0-9])' || ltrim(number, '+') || '(?![0-9])' from unnest($1::text[]) as number
    union all
    select id, replace(id, '.', '[.]') || '(?![0-9A-Za-z])' from unnest($2::text[]) as id
  ) as named (name, pattern)
   where position(name in payload::text) > 0 and payload::text ~ pattern
)`;

const FIND = `
select (select count(*) from message_events where ${IS_ABOUT_PERSON} and ${IS_SETTLED})::int as events,
       (select count(*) from sms_fallbacks where ${IS_ABOUT_PERSON} and ${IS_ENDED})::int as fallbacks,
       (select count(*) from rejected_callbacks where ${NAMES_PERSON})::int as "rejectedCallbacks",
       (select count(*) from sms_fallbacks where ${IS_ABOUT_PERSON} and not ${IS_ENDED})::int as "openFallbacks"`;

/** The sender is kept: it is the company's. */
const ERASE_EVENTS = `
with found as (
  select id from message_events where ${IS_ABOUT_PERSON} and ${IS_SETTLED} limit $3 for update
),
erased as (
  update message_events
     set to_number = null, user_id = null, parent_user_id = null, error_message = null, payload = '{"erased": true}'
    from found where message_events.id = found.id
  returning found.id
)
select count(*)::int as rows from erased`;

const ERASE_FALLBACKS = eraseFallbacks(
  `select id from sms_fallbacks where ${IS_ABOUT_PERSON} and ${IS_ENDED} limit $3 for update`,
);

/** There are 10,000 at the most. */
const ERASE_REJECTED_CALLBACKS = `
with found as (
  select id from rejected_callbacks where ${NAMES_PERSON} limit $3 for update
),
erased as (
  update rejected_callbacks set payload = '{"erased": true}'
    from found where rejected_callbacks.id = found.id
  returning found.id
)
select count(*)::int as rows from erased`;

/** Jobs that are done are deleted, and those that wait are done soon. */
const DROP_EXHAUSTED_JOBS = `
select ${JOB_QUEUE_SCHEMA}.complete_jobs(array_agg(id)) from ${JOB_QUEUE_SCHEMA}._private_jobs
 where attempts >= max_attempts and locked_at is null
   and (
     payload->'event'->>'toNumber' = any ($1::text[]) or payload->'event'->>'userId' = any ($2::text[])
     or payload->'event'->>'parentUserId' = any ($2::text[])
   )
having count(*) > 0`;
