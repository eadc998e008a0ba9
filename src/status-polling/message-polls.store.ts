import { ConfigurableModuleBuilder, Inject, Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import type { NewEvent } from '../follower/event-outbox.js';
import { hasApplicationTables } from '../messages/application-tables.js';
import { FINAL_STATUSES, isFinal, STATUSES_BY_RANK } from '../messages/message-status.js';
import { InjectDatabase } from '../process/inject-database.js';

export interface StatusPollingModuleOptions {
  /** The account of messages without a callback so far, because rows of `messages` do not name one. */
  accountSid: string;
  /**
   * How long a message may stay without a final status before Twilio is asked, in milliseconds; at least 20000. The
   * gaps between the polls double. Default ten minutes.
   */
  afterMilliseconds?: number;
  /** How long after a message's latest status Twilio is asked, in milliseconds. Default a day. */
  giveUpAfterMilliseconds?: number;
  /** How many requests this process makes at a time. Default 5. */
  concurrency?: number;
  /** False: Twilio is never asked. Default true. */
  isEnabled?: boolean;
  /** How often to look for messages to ask about, in milliseconds. Default 15000. 0: only on `runOnce()`. */
  intervalMilliseconds?: number;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<StatusPollingModuleOptions>().setClassMethodName('forRoot').build();

/** Rows that one statement reads. This bounds its time. */
const LOOKED_THROUGH_ROWS = 2_000;

/** Messages that a replica takes at a time. */
const CLAIMED_ROWS = 50;

/**
 * `created_at` is the start of a transaction, so rows become visible in another order. Rows younger than the longest
 * transaction are left for later; a statement may take four seconds.
 */
const COMMIT_DELAY_MILLISECONDS = 20_000;

/** A message that only this replica polls until its next poll is due. */
export interface ClaimedPoll {
  readonly messageSid: string;
  readonly accountSid: string;
  /** True if the next poll would come after polling for the message ends. */
  readonly isLast: boolean;
}

/** The SQL of `message_polls` and `message_poll_watermarks`: each method is one commit. */
@Injectable()
export class MessagePollsStore {
  private readonly afterMilliseconds: number;
  private readonly giveUpAfterMilliseconds: number;

  constructor(
    @InjectDatabase() private readonly dataSource: DataSource,
    @Inject(MODULE_OPTIONS_TOKEN) private readonly options: StatusPollingModuleOptions,
  ) {
    this.afterMilliseconds = Math.max(options.afterMilliseconds ?? 10 * 60_000, COMMIT_DELAY_MILLISECONDS);
    this.giveUpAfterMilliseconds = options.giveUpAfterMilliseconds ?? 24 * 60 * 60_000;
  }

  /** Enrolls the WhatsApp messages of new events that wait for a final status, and forgets those that have one. */
  async follow(manager: EntityManager, events: readonly NewEvent[]): Promise<void> {
    const ofWhatsapp = events.filter(({ channel }) => channel === 'whatsapp');
    const ended = ofWhatsapp.filter(({ messageStatus }) => isFinal(messageStatus));
    const waiting = ofWhatsapp.filter(({ messageStatus }) => !isFinal(messageStatus));
    if (ended.length > 0) await manager.query(FORGET_ENDED, [ended.map(({ messageSid }) => messageSid)]);
    if (waiting.length === 0) return;
    await manager.query(ENROL_FROM_EVENTS, [
      this.afterMilliseconds,
      FINAL_STATUSES,
      waiting.map(({ messageSid }) => messageSid),
      waiting.map(({ accountSid }) => accountSid),
      waiting.map(({ createdAt }) => createdAt),
    ]);
  }

  /**
   * Reads the next rows of `messages`, which may have no event, and enrolls those that wait for a final status.
   * @param followAgain takes the messages whose row is behind their events, because it was added after the last of
   * them; in the same transaction, since these rows are read only once.
   * @returns whether there may be more rows to read.
   */
  async enrolFromMessages(
    followAgain: (behind: readonly string[], manager: EntityManager) => Promise<void>,
  ): Promise<boolean> {
    return this.dataSource.transaction(async (manager) => {
      const [row] = await manager.query<{ rows: number; behind: string[] }[]>(ENROL_FROM_MESSAGES, [
        this.afterMilliseconds,
        FINAL_STATUSES,
        this.giveUpAfterMilliseconds,
        LOOKED_THROUGH_ROWS,
        this.options.accountSid,
        STATUSES_BY_RANK,
      ]);
      await followAgain(row?.behind ?? [], manager);
      return row?.rows === LOOKED_THROUGH_ROWS;
    });
  }

  /** Whether there are rows of `messages` to read. */
  get hasMessages(): boolean {
    return hasApplicationTables(this.dataSource);
  }

  /** Whether `messages` can be read by `created_at` without a full scan of the application's table. */
  async areMessagesIndexed(): Promise<boolean> {
    const [row] = await this.dataSource.query<{ indexed: boolean }[]>(MESSAGES_ARE_INDEXED);
    return row?.indexed ?? false;
  }

  /**
   * Claims due messages by postponing their next poll, so that a crash only delays them, and two replicas never poll
   * the same one. Messages with a final status, and those that have waited for too long, are removed instead.
   * @returns `more`: whether others may be due.
   */
  async claim(): Promise<{ claimed: ClaimedPoll[]; more: boolean }> {
    const due = await this.dataSource.query<(ClaimedPoll & { isClaimed: boolean })[]>(CLAIM, [
      CLAIMED_ROWS,
      FINAL_STATUSES,
      this.afterMilliseconds,
      this.giveUpAfterMilliseconds,
    ]);
    return { claimed: due.filter(({ isClaimed }) => isClaimed), more: due.length === CLAIMED_ROWS };
  }

  /** Makes claimed messages due again that were not polled. */
  async giveBack(messageSids: readonly string[], delayMilliseconds: number): Promise<void> {
    await this.dataSource.query(
      `update message_polls
          set polls = greatest(polls - 1, 0), next_poll_at = now() + $2 * interval '1 millisecond'
        where message_sid = any ($1)`,
      [messageSids, delayMilliseconds],
    );
  }

  /** Forgets a message, unless an event has named another account by now, which can still be asked. */
  async forget({ messageSid, accountSid }: ClaimedPoll): Promise<void> {
    await this.dataSource.query('delete from message_polls where message_sid = $1 and account_sid = $2', [
      messageSid,
      accountSid,
    ]);
  }
}

/**
 * Plans the first poll of the messages in `waiting`, whose `created_at` is that of the latest status or of the message.
 * One whose status has moved on starts again with the shortest gap, but is left alone for the 30 seconds that a replica
 * may be asking about it. $1: the gap in milliseconds; $2: the final statuses.
 */
const enrol = `
  insert into message_polls as known (message_sid, account_sid, waiting_since, next_poll_at)
  select distinct on (message_sid) message_sid, account_sid, created_at, created_at + $1 * interval '1 millisecond'
    from waiting
   where not exists (
     select from message_events as final
     where final.message_sid = waiting.message_sid and final.message_status = any ($2)
   )
   order by message_sid, created_at desc
  on conflict (message_sid) do update
    -- A row of messages was enrolled with an assumed account, if no event named it.
    set account_sid = excluded.account_sid, waiting_since = excluded.waiting_since, polls = 0,
        next_poll_at = greatest(excluded.next_poll_at, least(known.next_poll_at, now() + interval '30 seconds'))
    where excluded.waiting_since > known.waiting_since`;

/** $3 to $5: SIDs, accounts and times of new events. */
export const ENROL_FROM_EVENTS = `
with waiting as (
  select * from unnest($3::text[], $4::text[], $5::timestamptz[]) as event (message_sid, account_sid, created_at)
)
${enrol}`;

/** Forgets messages that have a final status now. A locked row is forgotten at its next poll. */
export const FORGET_ENDED = `
delete from message_polls where message_sid = any (array(
  select message_sid from message_polls where message_sid = any ($1) for update skip locked
))`;

/**
 * Enrolls rows of `messages`, which may have no event. Only one replica at a time moves the watermark; the others find
 * it locked and continue. A row whose status is behind that of its events was added after the last of them, so it must
 * be followed again.
 *
 * $3: the maximum age in milliseconds; $4: how many rows; $5: the account of a message without an event; $6: statuses
 * by rank. Messages with a failure status are polled too: without an event, the application knows the failure from
 * elsewhere, and it may be a policy failure.
 */
export const ENROL_FROM_MESSAGES = `
with watermark as (
  select created_at, key from message_poll_watermarks where source = 'messages' for update skip locked
),
step as (
  select candidates.* from watermark cross join lateral (
    select coalesce(twilio_sid::text, '') as key, created_at, twilio_sid::text as message_sid,
           channel::text as channel, direction::text as direction, status::text as status
      from messages
     where created_at >= greatest(watermark.created_at, now() - $3 * interval '1 millisecond')
       and created_at <= now() - $1 * interval '1 millisecond'
       and (created_at, coalesce(twilio_sid::text, '')) > (watermark.created_at, watermark.key)
     order by created_at, coalesce(twilio_sid::text, '') limit $4
  ) as candidates
),
waiting as (
  select message_sid, created_at,
         coalesce((select account_sid from message_events where message_sid = step.message_sid limit 1), $5) as account_sid
    from step
   where message_sid is not null and channel = 'whatsapp' and direction like 'outbound%'
     and (status is null or status not in ('delivered', 'read'))
),
enrolled as (${enrol}),
moved as (
  update message_poll_watermarks set created_at = newest.created_at, key = newest.key
  from (select created_at, key from step order by created_at desc, key desc limit 1) as newest
  where source = 'messages'
)
select count(*)::integer as rows, coalesce(array_agg(distinct message_sid) filter (where exists (
    select from message_events
     where message_events.message_sid = step.message_sid
       and array_position($6::text[], message_status) > coalesce(array_position($6, status), 0)
  )), '{}') as behind
  from step`;

/**
 * Whether `messages` has a usable index. A timestamp without a time zone is not enough, because it does not name a
 * point in time.
 */
export const MESSAGES_ARE_INDEXED = `
select exists (
  select from pg_index
  join pg_attribute on attrelid = indrelid and attnum = indkey[0]
  where indrelid = 'messages'::regclass and attname = 'created_at' and atttypid = 'timestamptz'::regtype
    and indisvalid and indpred is null
) as indexed`;

/**
 * $1: how many; $2: the final statuses; $3: the first gap, which doubles with each poll, and $4: when to give up, in
 * milliseconds. No gap is shorter than the time that a replica may take to ask.
 */
export const CLAIM = `
with due as (
  select message_sid, waiting_since < now() - $4 * interval '1 millisecond' or exists (
    select from message_events as final
    where final.message_sid = message_polls.message_sid and final.message_status = any ($2)
  ) as has_ended
  from message_polls where next_poll_at <= now()
  order by next_poll_at limit $1
  for update skip locked
),
forgotten as (
  delete from message_polls using due where message_polls.message_sid = due.message_sid and has_ended
),
claimed as (
  update message_polls
    set polls = polls + 1,
        next_poll_at = now() + greatest($3 * power(2, polls + 1), 30000) * interval '1 millisecond'
  from due where message_polls.message_sid = due.message_sid and not has_ended
  returning message_polls.message_sid, account_sid, next_poll_at > waiting_since + $4 * interval '1 millisecond' as is_last
)
select due.message_sid as "messageSid", account_sid as "accountSid", is_last as "isLast", not has_ended as "isClaimed"
from due left join claimed using (message_sid)`;
