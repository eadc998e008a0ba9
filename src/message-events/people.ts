import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { isE164, numberForms, parsePhoneNumber } from '../messages/phone-number.js';
import { InjectDatabase } from '../process/inject-database.js';
import { parseUserId } from './channel-address.js';

/** The search key of a person: a number in E.164, or a WhatsApp user ID. */
export type PersonName = { readonly number: string } | { readonly userId: string };

/** All identifiers of a person in the log. */
export interface Person {
  /** Every form of every number. */
  readonly numbers: readonly string[];
  /** User IDs, those for parent businesses included. */
  readonly userIds: readonly string[];
}

/** @returns null for a text that is neither a number with its country nor a user ID. */
export function parsePersonName(text: string): PersonName | null {
  const userId = parseUserId(text);
  if (userId !== null) return { userId };
  const number = parsePhoneNumber(text);
  return number === null ? null : { number };
}

/** Links the numbers and the user IDs of people, by the messages and the fallbacks that name both. */
@Injectable()
export class People {
  constructor(@InjectDatabase() private readonly dataSource: DataSource) {}

  /** Follows links for one step only: the IDs of a number's next owner belong to another person. */
  async find(name: PersonName): Promise<Person> {
    if ('number' in name) {
      const numbers = numberForms(name.number);
      return { numbers, userIds: await this.query(IDS_OF_NUMBERS, numbers) };
    }
    const userIds = [...new Set([name.userId, ...(await this.query(IDS_OF_ID, [name.userId]))])];
    const numbers = (await this.query(NUMBERS_OF_IDS, userIds)).filter(isE164).flatMap(numberForms);
    return { numbers: [...new Set(numbers)], userIds };
  }

  private async query(sql: string, names: readonly string[]): Promise<string[]> {
    const rows = await this.dataSource.query<{ name: string }[]>(sql, [names]);
    return rows.map((row) => row.name);
  }
}

/**
 * A person has a few names, and a message a few events; the limit bounds the answer for the number of a test or a
 * monitor.
 */
const LIMIT = 100;
const LATEST_EVENTS = 1_000;

const HAS_NUMBER = 'to_number = any ($1::text[])';
const HAS_ID = '(user_id = any ($1::text[]) or parent_user_id = any ($1::text[]))';

/**
 * Selects the identifiers of the recipients of messages and fallbacks that match a condition. One event of a message
 * may have the number and another one the ID; a fallback may have a number from the application or an earlier message.
 */
const namesOf = (condition: string, ...names: readonly string[]) => `
select distinct named.name from (
  select event.* from (
     select distinct message_sid from (
       select message_sid from message_events where ${condition} order by created_at desc limit ${LATEST_EVENTS}
     ) as latest
   ) as message
   cross join lateral (
     -- With a limit of its own it is looked up by the index for each message, whatever the table's statistics say.
     select to_number, user_id, parent_user_id from message_events
      where message_sid = message.message_sid limit ${LIMIT}
   ) as event
  union all
  select to_number, user_id, parent_user_id from sms_fallbacks where ${condition}
) as recipient
 cross join lateral (values ${names.map((name) => `(${name})`).join(', ')}) as named (name)
 where named.name is not null
 limit ${LIMIT}`;

const IDS_OF_NUMBERS = namesOf(HAS_NUMBER, 'user_id', 'parent_user_id');

/** Selects a person's ID for one business and the one for its parent. */
const IDS_OF_ID = namesOf(HAS_ID, 'user_id', 'parent_user_id');

const NUMBERS_OF_IDS = namesOf(HAS_ID, 'to_number');

/**
 * SQL: whether a row of `message_events` or `sms_fallbacks` is about a person.
 * @param numbers the parameter with the person's numbers, e.g. `$1`.
 */
export function isAbout(numbers: string, userIds: string): string {
  return `(to_number = any (${numbers}::text[]) or user_id = any (${userIds}::text[]) or parent_user_id = any (${userIds}::text[]))`;
}
