import { BadRequestException, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { isAbout, People, type Person } from '../message-events/people.js';
import { hasApplicationTables } from '../messages/application-tables.js';
import { InjectDatabase } from '../process/inject-database.js';
import { type EventRow, eventView } from './fallback-view.js';
import {
  creation,
  cursorOf,
  limit,
  messageSid,
  MICROSECONDS,
  numbers,
  pageOf,
  parameters,
  person,
  time,
  toPage,
} from './page.js';

export const eventSchema = z.object({
  id: z.uuid(),
  messageSid: z.string(),
  channel: z.string(),
  status: z.string(),
  errorCode: z.string().nullable(),
  error: z.string().nullable(),
  to: z.string().nullable(),
  userId: z
    .string()
    .nullable()
    .describe("WhatsApp's ID of a recipient who hides the number behind a username"),
  from: z.string().nullable(),
  accountSid: z.string(),
  source: z.enum(['callback', 'poll']).describe('callback: Twilio called; poll: Twilio was asked'),
  fallbackId: z.uuid().nullable().describe('the fallback whose SMS this is about'),
  createdAt: z.date().describe('when it was stored'),
});

export const eventPage = pageOf(eventSchema);

/** The query of `GET /message-events`: events that match all given conditions. */
export const eventQuery = parameters({
  messageSid: messageSid.optional(),
  channel: z.string().min(1).max(64).optional().describe('whatsapp, sms, rcs, messenger, …'),
  status: z.string().min(1).max(64).optional().describe('as Twilio names it, e.g. undelivered'),
  errorCode: z
    .string()
    .min(1)
    .max(64)
    .optional()
    .describe('of messages that failed or were undelivered, e.g. 63049'),
  number: person
    .optional()
    .describe('of the recipient: a number with its country, e.g. +15551234567, or a WhatsApp user ID'),
  company: z.string().min(1).max(64).optional().describe('companies.id'),
  from: time.optional().describe('stored at this time or later'),
  to: time.optional().describe('stored before this time'),
  limit,
  cursor: cursorOf(creation),
  numbers,
});

/** The same query as the body of a POST, because proxies log query strings and a number is personal data. */
export const eventSearchBody = eventQuery.extend({
  numbers: z.boolean().default(false).describe('whole telephone numbers; asking for them is logged'),
});

export type EventQuery = z.output<typeof eventQuery>;

/** The maximum number of pairs of channel and status to search. Twilio has 13 statuses on a few channels. */
const MAXIMUM_PAIRS = 200;

const COLUMNS = `
  id, message_sid as "messageSid", message_status as "messageStatus", channel, to_number as "toNumber",
  from_number as "fromNumber", user_id as "userId", parent_user_id as "parentUserId", error_code as "errorCode", error_message as "errorMessage",
  account_sid as "accountSid", source, sms_fallback_id as "smsFallbackId", created_at as "createdAt"`;

const NEWEST_FIRST = 'order by created_at desc, id desc';

interface PositionedRow extends EventRow {
  readonly microseconds: string;
}

/** Runs the SQL of `GET /message-events`. For every query, an index leads to the newest matching rows. */
@Injectable()
export class EventSearch {
  constructor(
    @InjectDatabase() private readonly dataSource: DataSource,
    private readonly people: People,
  ) {}

  /** @throws BadRequestException for a company if the application's tables are not used. */
  async list(query: EventQuery) {
    if (query.company !== undefined && !hasApplicationTables(this.dataSource)) {
      throw new BadRequestException('company: there are no companies, because ORIGINAL_MESSAGES is twilio');
    }
    const person = query.number === undefined ? undefined : await this.people.find(query.number);
    const { sql, parameters } = statement(query, person);
    const rows =
      query.company === undefined
        ? await this.dataSource.query<PositionedRow[]>(sql, parameters)
        : await this.walk(sql, parameters);
    return toPage(
      rows,
      query.limit,
      (row) => eventView(row, query.numbers),
      ({ microseconds, id }) => ({ microseconds, id }),
    );
  }

  /**
   * Finds a company's events by scanning the newest ones until there are enough. Parallel workers would scan forty
   * times as many rows meanwhile, and compiling the statement (JIT) would take longer than running it.
   */
  private walk(sql: string, parameters: unknown[]): Promise<PositionedRow[]> {
    return this.dataSource.transaction(async (manager) => {
      await manager.query(
        `select set_config('max_parallel_workers_per_gather', '0', true), set_config('jit', 'off', true)`,
      );
      return manager.query<PositionedRow[]>(sql, parameters);
    });
  }
}

function statement(
  query: EventQuery,
  person: Person | undefined,
): { readonly sql: string; readonly parameters: unknown[] } {
  const { messageSid, channel, status, errorCode, number } = query;
  const parameters: unknown[] = [];
  const add = (value: unknown) => `$${parameters.push(value)}`;
  const conditions = commonConditions(query, add);
  if (person !== undefined) conditions.push(isAbout(add(person.numbers), add(person.userIds)));
  const count = add(query.limit + 1);
  const isNarrow = [messageSid, errorCode, number].some((value) => value !== undefined);
  if (!isNarrow && (channel !== undefined || status !== undefined)) {
    return { sql: byPairs(channel, status, conditions, count, add), parameters };
  }
  if (channel !== undefined) conditions.push(`channel = ${add(channel)}`);
  if (status !== undefined) conditions.push(`message_status = ${add(status)}`);
  return { sql: selection(conditions, count), parameters };
}

function commonConditions(query: EventQuery, add: (value: unknown) => string): string[] {
  const { messageSid, errorCode, company, from, to, cursor } = query;
  const conditions: string[] = [];
  if (messageSid !== undefined) conditions.push(`message_sid = ${add(messageSid)}`);
  // message_events_failures_idx has only these statuses.
  if (errorCode !== undefined) {
    conditions.push(`error_code = ${add(errorCode)} and message_status in ('failed', 'undelivered')`);
  }
  if (company !== undefined) {
    conditions.push(`message_sid in (
      select messages.twilio_sid::text from messages join conversations on conversations.id = conversation_id
       where company_id = ${add(company)})`);
  }
  if (from !== undefined) conditions.push(`created_at >= ${add(from)}`);
  if (to !== undefined) conditions.push(`created_at < ${add(to)}`);
  if (cursor !== undefined) {
    const createdAt = `timestamptz 'epoch' + ${add(cursor.microseconds)}::bigint * interval '1 microsecond'`;
    conditions.push(`(created_at, id) < (${createdAt}, ${add(cursor.id)}::uuid)`);
  }
  return conditions;
}

function selection(conditions: readonly string[], count: string): string {
  const where = conditions.length > 0 ? `where ${conditions.join(' and ')}` : '';
  return `select ${COLUMNS}, ${MICROSECONDS} as microseconds from message_events ${where} ${NEWEST_FIRST} limit ${count}`;
}

/**
 * Finds the newest events of each pair of channel and status, and the newest of those, so that a rare status costs no
 * more than a frequent one. It skips from pair to pair in message_events_channel_status_idx.
 */
function byPairs(
  channel: string | undefined,
  status: string | undefined,
  conditions: readonly string[],
  count: string,
  add: (value: unknown) => string,
): string {
  const wanted = [
    ...(channel === undefined ? [] : [`channel = ${add(channel)}`]),
    ...(status === undefined ? [] : [`message_status = ${add(status)}`]),
  ];
  const ofPair = ['channel = pair.channel', 'message_status = pair.message_status', ...conditions];
  return `
    with recursive pairs as (
      (select channel, message_status from message_events order by channel, message_status limit 1)
      union all
      select next.channel, next.message_status from pairs cross join lateral (
        select channel, message_status from message_events
         where (channel, message_status) > (pairs.channel, pairs.message_status)
         order by channel, message_status limit 1) as next
    ),
    wanted as (select * from (select * from pairs limit ${MAXIMUM_PAIRS}) as known where ${wanted.join(' and ')}),
    newest as (
      select event.* from wanted as pair cross join lateral (
        select created_at, id from message_events where ${ofPair.join(' and ')} ${NEWEST_FIRST} limit ${count}
      ) as event
       ${NEWEST_FIRST} limit ${count}
    )
    select ${COLUMNS}, ${MICROSECONDS} as microseconds from message_events
     where id in (select id from newest) ${NEWEST_FIRST}`;
}
