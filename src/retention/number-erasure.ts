import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { JOB_QUEUE_SCHEMA } from '../domain-events/domain-events.js';
import { eraseFallbacks } from '../fallback/fallback.sql.js';
import { IS_ENDED } from '../fallback/sms-fallback-state.js';
import { eraseEvents } from '../message-events/message-events.store.js';
import { isAbout, People, type Person, type PersonName } from '../message-events/people.js';
import { InjectDatabase } from '../process/inject-database.js';
import { eraseRejectedCallbacks } from '../webhooks/rejected-callbacks.store.js';

/** Rows per statement, so that no statement blocks others for long. */
const BATCH = 1_000;

/** What is stored about a person. */
export interface PersonTraces {
  /** The numbers and user IDs that were searched for. */
  readonly person: Person;
  /** Events, except those of open fallbacks. */
  readonly events: number;
  /** Fallbacks that have ended. */
  readonly fallbacks: number;
  readonly rejectedCallbacks: number;
  /** Fallbacks that still need the number to send their SMS; they are left alone. */
  readonly openFallbacks: number;
}

/**
 * Erases a person's numbers and user IDs, and the texts sent to them, from the service's own tables. The rows stay with
 * their statuses, codes, and times, so that no count changes. The SIDs stay too: Twilio identifies messages by them.
 */
@Injectable()
export class NumberErasure {
  constructor(
    @InjectDatabase() private readonly dataSource: DataSource,
    private readonly people: People,
  ) {}

  /** Counts what would be erased, without changing anything. */
  async find(name: PersonName): Promise<PersonTraces> {
    return this.count(await this.people.find(name));
  }

  /** @returns what was erased, and what was kept. */
  async erase(name: PersonName): Promise<PersonTraces> {
    const person = await this.people.find(name);
    // First, so that the events of a fallback that just ended are erased after it.
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
   * @param statement locks the rows that it selects, and replaces rows that others remove meanwhile. So if it returns
   * fewer rows than the limit, no more are left.
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

/** Keeps what belongs to an open fallback until that ends: its number may exist in an event only. */
const IS_SETTLED = `not exists (
  select from sms_fallbacks as fallback
   where (fallback.original_message_sid = message_sid or fallback.id = sms_fallback_id) and not ${IS_ENDED}
)`;

/**
 * A number may be in any parameter, with or without a plus. Does not match a part of a longer number or ID, which is
 * another person's.
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

const ERASE_EVENTS = eraseEvents(
  `select id from message_events where ${IS_ABOUT_PERSON} and ${IS_SETTLED} limit $3 for update`,
);

const ERASE_FALLBACKS = eraseFallbacks(
  `select id from sms_fallbacks where ${IS_ABOUT_PERSON} and ${IS_ENDED} limit $3 for update`,
);

/** The table has at most 10,000 rows. */
const ERASE_REJECTED_CALLBACKS = eraseRejectedCallbacks(
  `select id from rejected_callbacks where ${NAMES_PERSON} limit $3 for update`,
);

/** Only exhausted jobs remain: completed ones are deleted, and waiting ones run soon. */
const DROP_EXHAUSTED_JOBS = `
select ${JOB_QUEUE_SCHEMA}.complete_jobs(array_agg(id)) from ${JOB_QUEUE_SCHEMA}._private_jobs
 where attempts >= max_attempts and locked_at is null
   and (
     payload->'event'->>'toNumber' = any ($1::text[]) or payload->'event'->>'userId' = any ($2::text[])
     or payload->'event'->>'parentUserId' = any ($2::text[])
   )
having count(*) > 0`;
