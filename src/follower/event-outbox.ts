import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { InjectDatabase } from '../process/inject-database.js';

/** The maximum number of rows in one transaction, which keeps it short. */
export const BATCH = 1_000;

/** The alarm threshold, in seconds. Normally an event is followed within one. */
export const LONGEST_DELAY = 900;

/** A new event of the log. */
export interface NewEvent {
  readonly id: string;
  readonly messageSid: string;
  readonly messageStatus: string;
  readonly channel: string;
  readonly errorCode: string | null;
  readonly accountSid: string;
  readonly createdAt: Date;
}

/** A message whose row in `messages` is to be updated. */
export interface TakenMessage {
  readonly messageSid: string;
  /** The number of failed attempts. */
  readonly tries: number;
}

/** A message to look at again after a delay. */
export type MessageAgain = TakenMessage & { readonly inMilliseconds: number };

/** The first and the longest delay before a locked row is tried again, in milliseconds. The delays double. */
const SHORTEST_BUSY = 500;
const LONGEST_BUSY = 30_000;

/** The delays after a refusal. They are longer, because a table refuses a row until its owner changes the table. */
const SHORTEST_REFUSAL = 10_000;
const LONGEST_REFUSAL = 60 * 60_000;

/** The maximum number of refusals, which takes about three days. */
const MOST_REFUSALS = 80;

/** When to try the row of a message again that another session has locked. */
export function againSoon({ messageSid, tries }: TakenMessage): MessageAgain {
  return { messageSid, tries: tries + 1, inMilliseconds: Math.min(SHORTEST_BUSY * 2 ** tries, LONGEST_BUSY) };
}

/** When to try a row again that the table refuses; undefined after about three days. */
export function againAfterRefusal({ messageSid, tries }: TakenMessage): MessageAgain | undefined {
  if (tries >= MOST_REFUSALS) return undefined;
  const inMilliseconds = Math.min(SHORTEST_REFUSAL * 2 ** tries, LONGEST_REFUSAL);
  return { messageSid, tries: tries + 1, inMilliseconds };
}

export interface Taken {
  readonly messages: readonly TakenMessage[];
  /** Each event is taken once. It may have been deleted meanwhile. */
  readonly events: readonly NewEvent[];
  /** Whether more rows may be due. */
  readonly more: boolean;
}

/** The columns of the event are null if there is none to follow, or if it was deleted. */
type Row = { readonly tries: number } & (NewEvent | { readonly id: null; readonly messageSid: string });

/** Takes rows from `message_event_outbox`, and puts back those that must be tried again. */
@Injectable()
export class EventOutbox {
  constructor(@InjectDatabase() private readonly dataSource: DataSource) {}

  async isDue(): Promise<boolean> {
    const [row] = await this.dataSource.query<{ due: boolean }[]>(
      'select exists (select from message_event_outbox where due_at <= now()) as due',
    );
    return row?.due ?? false;
  }

  /** Takes due rows that no other replica is taking. If the transaction fails, they are due again. */
  async take(manager: EntityManager): Promise<Taken> {
    const rows = await manager.query<Row[]>(TAKE, [BATCH]);
    const messages = new Map<string, TakenMessage>();
    for (const { messageSid, tries } of rows) {
      messages.set(messageSid, { messageSid, tries: Math.max(tries, messages.get(messageSid)?.tries ?? 0) });
    }
    const events = rows.filter((row) => row.id !== null);
    return { messages: [...messages.values()], events, more: rows.length === BATCH };
  }

  /** @param again those to try again, each after its shortest delay. */
  async putBack(manager: EntityManager, again: readonly MessageAgain[]): Promise<void> {
    if (again.length === 0) return;
    const latestFirst = again.toSorted((left, right) => right.inMilliseconds - left.inMilliseconds);
    const messages = [...new Map(latestFirst.map((message) => [message.messageSid, message])).values()];
    await manager.query(PUT_BACK, [
      messages.map(({ messageSid }) => messageSid),
      messages.map(({ tries }) => tries),
      messages.map(({ inMilliseconds }) => inMilliseconds),
    ]);
  }
}

/** Returns the age of the oldest event that is not followed yet, in seconds; 0 without one. */
export async function followingDelay(dataSource: DataSource): Promise<number> {
  const [row] = await dataSource.query<{ age: number }[]>(OLDEST);
  return row?.age ?? 0;
}

const OLDEST = `
select greatest(extract(epoch from now() - due_at), 0)::float as age from message_event_outbox
 where not counted order by due_at limit 1`;

/** Rows are found by their place in the table: no other transaction changes locked ones. */
const TAKE = `
with taken as (
  delete from message_event_outbox where ctid = any (array(
    select ctid from message_event_outbox where due_at <= now() order by due_at, id limit $1 for update skip locked
  ))
  returning id, message_sid, counted, tries
)
select taken.message_sid as "messageSid", tries, event.id, message_status as "messageStatus", channel,
       error_code as "errorCode", account_sid as "accountSid", created_at as "createdAt"
  from taken left join message_events as event on event.id = taken.id and not counted`;

const PUT_BACK = `
insert into message_event_outbox (due_at, message_sid, counted, tries)
select now() + delay * interval '1 millisecond', sid, true, tries
  from unnest($1::text[], $2::integer[], $3::float[]) as message (sid, tries, delay)`;
