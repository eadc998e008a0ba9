import { Inject, Injectable, Logger } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { maskNumbersIn } from '../messages/phone-number.js';
import { GroupCommit, isDataError, OF_ONE_TURN } from '../process/group-commit.js';
import { InjectDatabase } from '../process/inject-database.js';
import { type FallbackModuleOptions, MODULE_OPTIONS_TOKEN } from './fallback.module-definition.js';
import { isTooLate } from './fallback.sql.js';
import type { Sender } from './sms-composer.js';

type SmsPerSecond = FallbackModuleOptions['smsPerSecond'];

/** How long after a slowdown an attempt must have begun for its refusal to count: other replicas know by then. */
const SLOWED_FOR_SECONDS = 1;

/**
 * How long one slowdown by reports lasts at the least. They come late and some come at any rate, so that halving with
 * each of them would stop a sender.
 */
const SLOWED_BY_REPORT_FOR_SECONDS = 10;

/**
 * How many seconds' worth of SMS may be sent at once. The pacer's rounds may be late by as much without losing
 * throughput, and ten seconds exceed the rate by five percent at the most.
 */
const BURST_SECONDS = 0.5;

/** How long a slowed sender takes to regain the rate at which it was refused, or its configured rate. */
const RECOVERY_SECONDS = 60;

const SLOWEST_PER_SECOND = 1;

/** How far back the busiest second is looked for. A report of an SMS comes some seconds after its POST. */
const REMEMBERED_SECONDS = 10;

/** Whether an SMS may be sent now. */
export type Turn =
  | { readonly isAdmitted: true }
  | {
      readonly isAdmitted: false;
      /** How long nothing can be sent at the least, whoever waits. */
      readonly opensInMilliseconds: number;
    };

/** An answer or a report of Twilio that a sender sends too fast. */
export interface TooFast {
  readonly key: string;
  readonly code: string;
  /** How long ago the SMS was handed to Twilio. */
  readonly begunMillisecondsAgo: number;
  readonly retryAfterSeconds: number | null;
  /** Whether Twilio had accepted the SMS, and reported later that it was never sent. */
  readonly isReport: boolean;
}

/** What a sender may send at this moment. */
export interface Offer {
  readonly tokens: number;
  readonly opensInMilliseconds: number;
  /** SMS per second; null without a limit. */
  readonly rate: number | null;
}

/** The pace of a sender, as operators see it. */
export interface SenderPaceView extends Pick<Offer, 'opensInMilliseconds' | 'rate'> {
  readonly key: string;
  /** Fallbacks in its line. */
  readonly waiting: number;
  /** Why it is slowed down; null if it is not. */
  readonly slowedBy: string | null;
  readonly slowedAt: Date | null;
  readonly notBefore: Date | null;
}

/** Names a sender of one account: `AC… +15551234567`, or `AC… MG…`. */
export function senderKey(accountSid: string, { fromNumber, messagingServiceSid }: Sender): string {
  return `${accountSid} ${messagingServiceSid ?? fromNumber ?? ''}`;
}

/** The two parts of a sender's name. */
export function partsOfKey(key: string): { readonly accountSid: string; readonly sender: string } {
  const [accountSid = '', sender = ''] = key.split(' ', 2);
  return { accountSid, sender };
}

/**
 * Writes `sms_senders`: how fast each sender may send, across all replicas. A sender without a rate and without a
 * slowdown has no row, and its SMS need no statement.
 */
@Injectable()
export class SenderPace {
  private readonly logger = new Logger(SenderPace.name);
  private readonly rates: Rates;
  /** Senders that Twilio has refused lately, as of the last refresh. */
  private slowed = new Set<string>();
  private readonly sent = new Map<string, Map<number, number>>();
  private readonly requests: GroupCommit<Request, Turn>;
  private readonly refusals: GroupCommit<TooFast, number>;
  private refreshDueAt = 0;

  constructor(
    @InjectDatabase() private readonly dataSource: DataSource,
    @Inject(MODULE_OPTIONS_TOKEN) { smsPerSecond }: FallbackModuleOptions,
  ) {
    this.rates = ratesOf(smsPerSecond);
    this.requests = new GroupCommit((requests) => this.takeAll(requests), isDataError, OF_ONE_TURN);
    this.refusals = new GroupCommit((refusals) => this.slowAll(refusals), isDataError, OF_ONE_TURN);
  }

  /**
   * Asks whether a sender may send an SMS now. It may not while others wait in its line.
   * @param sendBefore of requests at the same time, the earliest is granted first.
   */
  async request(key: string, sendBefore: Date | null): Promise<Turn> {
    if (this.rateOf(key) === null && !this.slowed.has(key)) return { isAdmitted: true };
    return this.requests.add({ key, sendBefore });
  }

  /** Counts an SMS that is about to be handed to Twilio. */
  count(key: string): void {
    const second = thisSecond();
    const counts = this.sent.get(key) ?? new Map<number, number>();
    counts.set(second, (counts.get(second) ?? 0) + 1);
    const [oldest = second] = counts.keys();
    if (second - oldest >= REMEMBERED_SECONDS) counts.delete(oldest);
    this.sent.set(key, counts);
  }

  /**
   * Halves the rate of a sender, unless it was halved for the same moment. Never rejects: the answer that caused it must
   * be recorded in any case.
   * @returns how long nothing can be sent, in milliseconds.
   */
  async slow(tooFast: TooFast): Promise<number> {
    try {
      return await this.refusals.add(tooFast);
    } catch (error) {
      this.logger.warn('A sender cannot be slowed down now', { error: String(error) });
      return 1_000 * (tooFast.retryAfterSeconds ?? 0);
    }
  }

  /** Whether `refresh` is due: about every second, and at once if this process has put an SMS in line. */
  get isRefreshDue(): boolean {
    return performance.now() >= this.refreshDueAt;
  }

  /** Makes the next refresh due. */
  expectLine(): void {
    this.refreshDueAt = 0;
  }

  /** Reads which senders are slowed down. @returns the senders whose lines can move. */
  async refresh(): Promise<string[]> {
    this.refreshDueAt = performance.now() + 1_000;
    const before = new Set(this.slowed);
    const rows = await this.dataSource.query<RefreshedRow[]>(REFRESH, this.parameters);
    const meanwhile = [...this.slowed].filter((key) => !before.has(key));
    const slowed = rows.filter(({ isSlowed }) => isSlowed).map(({ key }) => key);
    this.slowed = new Set([...slowed, ...meanwhile]);
    if (rows.some(({ isWaiting }) => isWaiting)) this.expectLine();
    return rows.filter(({ isWaiting, canMove }) => isWaiting && canMove).map(({ key }) => key);
  }

  /** Locks a sender and says what it may send. @returns null if another replica does this now. */
  async lock(manager: EntityManager, key: string): Promise<Offer | null> {
    const [offer = null] = await manager.query<Offer[]>(LOCK, [...this.parameters, key]);
    // Its row may have been removed by hand.
    if (offer === null) await this.add([key], manager);
    return offer;
  }

  /** Takes what a locked sender is about to send out of its rate. */
  async spend(manager: EntityManager, key: string, tokens: number, { rate }: Offer): Promise<void> {
    if (tokens > 0 && rate !== null) await manager.query(SPEND, [key, tokens, rate]);
  }

  private get parameters(): unknown[] {
    return [JSON.stringify(this.rates.bySender), this.rates.others];
  }

  private rateOf(key: string): number | null {
    const rate = this.rates.bySender[partsOfKey(key).sender] ?? this.rates.others ?? 0;
    return rate > 0 ? rate : null;
  }

  private async takeAll(requests: readonly Request[]): Promise<Turn[]> {
    const counts = new Map<string, number>();
    for (const { key } of requests) counts.set(key, (counts.get(key) ?? 0) + 1);
    const offers = await this.take(counts);
    const order = requests
      .map((_, index) => index)
      .sort((one, other) => deadlineOf(requests[one]) - deadlineOf(requests[other]));
    const turns = new Map<number, Turn>();
    for (const index of order) {
      const offer = offers.get(requests[index]?.key ?? '') ?? { tokens: 0, opensInMilliseconds: 0 };
      offer.tokens -= 1;
      const { opensInMilliseconds } = offer;
      turns.set(index, offer.tokens >= 0 ? { isAdmitted: true } : { isAdmitted: false, opensInMilliseconds });
    }
    return requests.map((_, index) => turns.get(index) ?? { isAdmitted: false, opensInMilliseconds: 0 });
  }

  private async take(counts: ReadonlyMap<string, number>): Promise<Map<string, Granted>> {
    const parameters = [...this.parameters, [...counts.keys()], [...counts.values()]];
    let rows = await this.dataSource.query<(Granted & { key: string })[]>(TAKE, parameters);
    const missing = [...counts.keys()].filter((key) => !rows.some((row) => row.key === key));
    if (missing.length > 0) {
      await this.add(missing);
      const others = missing.map((key) => counts.get(key));
      rows = [
        ...rows,
        ...(await this.dataSource.query<typeof rows>(TAKE, [...this.parameters, missing, others])),
      ];
    }
    return new Map(rows.map(({ key, ...granted }) => [key, granted]));
  }

  private async slowAll(refusals: readonly TooFast[]): Promise<number[]> {
    const bySender = new Map<string, TooFast>();
    for (const refusal of refusals) bySender.set(refusal.key, together(refusal, bySender.get(refusal.key)));
    const merged = [...bySender.values()];
    const keys = [...bySender.keys()];
    await this.add(keys);
    const rows = await this.dataSource.query<SlowedRow[]>(SLOW, [
      ...this.parameters,
      keys,
      merged.map(({ code }) => code),
      keys.map((key) => this.busiestSecond(key)),
      merged.map(({ begunMillisecondsAgo }) => begunMillisecondsAgo),
      merged.map(({ retryAfterSeconds }) => retryAfterSeconds),
      merged.map(({ isReport }) => isReport),
    ]);
    for (const { key, code, slowedTo, isHalved } of rows) {
      this.slowed.add(key);
      const fields = { sender: maskNumbersIn(key), code, smsPerSecond: slowedTo };
      if (isHalved) this.logger.warn('A sender is slowed down', fields);
    }
    const found = new Map(rows.map((row) => [row.key, row.opensInMilliseconds]));
    return refusals.map(({ key }) => found.get(key) ?? 0);
  }

  /** How many SMS this process has sent in its busiest second lately. */
  private busiestSecond(key: string): number {
    const since = thisSecond() - REMEMBERED_SECONDS;
    const counts = [...(this.sent.get(key) ?? [])].filter(([second]) => second > since);
    return Math.max(0, ...counts.map(([, count]) => count));
  }

  private async add(keys: readonly string[], manager = this.dataSource.manager): Promise<void> {
    await manager.query(ADD, [keys]);
  }
}

/** Lists the senders that have a rate, are slowed down, or have a line; the longest line first. */
export async function listSenderPaces(
  dataSource: DataSource,
  smsPerSecond: SmsPerSecond,
): Promise<SenderPaceView[]> {
  const { bySender, others } = ratesOf(smsPerSecond);
  return dataSource.query(LIST, [JSON.stringify(bySender), others]);
}

interface Request {
  readonly key: string;
  readonly sendBefore: Date | null;
}

interface Granted {
  tokens: number;
  readonly opensInMilliseconds: number;
}

interface RefreshedRow {
  readonly key: string;
  readonly isWaiting: boolean;
  readonly isSlowed: boolean;
  /** One may be sent, or the first one is too late. */
  readonly canMove: boolean;
}

interface SlowedRow {
  readonly key: string;
  readonly code: string;
  readonly slowedTo: number;
  readonly isHalved: boolean;
  readonly opensInMilliseconds: number;
}

/** Rates in SMS per second; 0 means no limit. */
interface Rates {
  readonly bySender: Readonly<Record<string, number>>;
  readonly others: number | null;
}

function ratesOf(option: SmsPerSecond): Rates {
  if (typeof option !== 'object') return { bySender: {}, others: option ?? null };
  const { default: others = null, ...bySender } = option;
  return { bySender, others };
}

function deadlineOf(request: Request | undefined): number {
  return request?.sendBefore?.getTime() ?? Infinity;
}

function thisSecond(): number {
  return Math.floor(performance.now() / 1_000);
}

/** Merges what a sender was told at the same time: the latest attempt, and the longest wait. */
function together(one: TooFast, other: TooFast = one): TooFast {
  const waits = [one, other].flatMap(({ retryAfterSeconds }) => retryAfterSeconds ?? []);
  return {
    ...one,
    begunMillisecondsAgo: Math.min(one.begunMillisecondsAgo, other.begunMillisecondsAgo),
    retryAfterSeconds: waits.length === 0 ? null : Math.max(...waits),
    isReport: one.isReport && other.isReport,
  };
}

const BURST = `interval '${BURST_SECONDS} seconds'`;

/**
 * SQL: the pace of each row of `sms_senders`, by the database's clock. $1: configured rates by sender, a JSON object;
 * $2: the rate of all others. The rate is even (GCRA): `free_at` moves on by 1 / rate with each SMS, and may be ahead
 * of the clock by BURST. A slowdown needs no write to end: it recovers with the time since `slowed_at` or
 * `not_before`, up to the configured rate or, without one, to twice the rate at which Twilio refused.
 */
const PACE = `
  cross join lateral (
    select nullif(coalesce(($1::jsonb ->> split_part(key, ' ', 2))::float8, $2::float8), 0) as configured
  ) as setting
  cross join lateral (
    select slowed_to + greatest(slowed_from, configured, ${SLOWEST_PER_SECOND}) / ${RECOVERY_SECONDS}
           * greatest(0, extract(epoch from now() - greatest(slowed_at, not_before))::float8) as recovered
  ) as recovery
  cross join lateral (
    select coalesce(recovered < coalesce(configured, 2 * slowed_from), false) as is_slowed
  ) as slowdown
  cross join lateral (
    select case when is_slowed then recovered else configured end as rate,
           coalesce(not_before > now(), false) as is_to_wait
  ) as limits
  cross join lateral (
    select case when is_to_wait then 0
                when rate is null then 100
                else least(100, greatest(0, 1 + floor(rate * extract(
                  epoch from ${BURST} - (greatest(free_at, now()) - now())
                )::float8))) end::int as tokens,
           1000 * greatest(0, extract(epoch from case when is_to_wait then not_before - now() end),
             case when rate is not null then extract(epoch from free_at - now() - ${BURST}) end
           )::float8 as opens_in
  ) as offer`;

const spend = (tokens: string, rate: string) =>
  `free_at = greatest(free_at, now()) + ${tokens} / ${rate} * interval '1 second', updated_at = now()`;

const ADD = 'insert into sms_senders (key) select unnest($1::text[]) order by 1 on conflict (key) do nothing';

/** $3: senders; $4: how many SMS each wants to send. While fallbacks wait in its line, a sender sends no others. */
const TAKE = `
with locked as materialized (
  select * from sms_senders where key = any ($3::text[]) order by key for update
),
granted as materialized (
  select key, rate, opens_in,
         case when exists (select from sms_fallbacks where paced_by = key) then 0
              else least(wanted, tokens) end as granted
    from unnest($3::text[], $4::int[]) as request (key, wanted) join locked using (key) ${PACE}
),
spent as (
  update sms_senders set ${spend('granted', 'rate')}
    from granted where sms_senders.key = granted.key and granted > 0 and rate is not null
)
select key, granted as tokens, opens_in as "opensInMilliseconds" from granted`;

const LOCK = `
select tokens, opens_in as "opensInMilliseconds", rate from sms_senders ${PACE}
 where key = $3 for update of sms_senders skip locked`;

const SPEND = `update sms_senders set ${spend('$2::int', '$3::float8')} where key = $1`;

/**
 * $3: senders; $4: Twilio's codes; $5: how many SMS each has sent in a second; $6: how long ago the refused one was
 * begun, in milliseconds; $7: Retry-After in seconds; $8: whether it was reported after Twilio had accepted it. After a
 * refusal there is no burst. Further reports do not slow down the recovery.
 */
const SLOW = `
with locked as materialized (
  select * from sms_senders where key = any ($3::text[]) order by key for update
),
refused as materialized (
  select key, code, least(rate, greatest(busiest, ${SLOWEST_PER_SECOND})) as refused_at, retry_after,
         case when is_report and is_slowed then slowed_from end as recovers_from,
         coalesce(
           now() - begun * interval '1 millisecond' > slowed_at + interval '${SLOWED_FOR_SECONDS} seconds'
             and (not is_report or now() > slowed_at + interval '${SLOWED_BY_REPORT_FOR_SECONDS} seconds'),
           true
         ) as is_halved
    from unnest($3::text[], $4::text[], $5::float8[], $6::float8[], $7::float8[], $8::boolean[])
           as refusal (key, code, busiest, begun, retry_after, is_report)
    join locked using (key) ${PACE}
),
slowed as (
  update sms_senders as sender
     set slowed_at = case when is_halved then now() else slowed_at end,
         slowed_by = case when is_halved then code else slowed_by end,
         slowed_from = case when is_halved then coalesce(recovers_from, refused_at) else slowed_from end,
         slowed_to = case when is_halved then greatest(refused_at / 2, ${SLOWEST_PER_SECOND}) else slowed_to end,
         free_at = case when is_halved
           then greatest(free_at, now()) + ${BURST} + interval '1 second' / greatest(refused_at / 2, ${SLOWEST_PER_SECOND})
           else free_at end,
         not_before = greatest(not_before, now() + retry_after * interval '1 second'),
         updated_at = now()
    from refused where sender.key = refused.key
  returning sender.*, code, is_halved
)
select key, code, slowed_to as "slowedTo", is_halved as "isHalved", opens_in as "opensInMilliseconds"
  from slowed ${PACE}`;

/** Finds the lines by one look at the index for each of them, however long they are. */
const REFRESH = `
with recursive line as (
  (select paced_by from sms_fallbacks where paced_by is not null order by paced_by limit 1)
  union all
  select (select paced_by from sms_fallbacks where paced_by > line.paced_by order by paced_by limit 1)
    from line where line.paced_by is not null
)
select coalesce(paced_by, key) as key, paced_by is not null as "isWaiting",
       coalesce(is_slowed or is_to_wait, false) as "isSlowed",
       coalesce(tokens > 0 or coalesce(${isTooLate('first', 'opens_in')}, false), true) as "canMove"
  from (select key, is_slowed, is_to_wait, tokens, opens_in from sms_senders ${PACE}) as sender
  full join (select paced_by, (
      select send_before from sms_fallbacks where paced_by = line.paced_by order by send_before limit 1
    ) as first from line where paced_by is not null) as waiting on paced_by = key
 where paced_by is not null or is_slowed or is_to_wait`;

/** Counting stops here, so that a long line does not slow down those who look at it. */
const COUNTED_FALLBACKS = 100_000;

const LIST = `
with waiting as (
  select paced_by, count(*)::int as waiting
    from (select paced_by from sms_fallbacks where paced_by is not null limit ${COUNTED_FALLBACKS}) as counted
   group by paced_by
)
select coalesce(key, paced_by) as key, rate, coalesce(waiting, 0) as waiting, coalesce(opens_in, 0) as "opensInMilliseconds",
       case when is_slowed or is_to_wait then slowed_by end as "slowedBy",
       case when is_slowed or is_to_wait then slowed_at end as "slowedAt",
       case when is_to_wait then not_before end as "notBefore"
  from (select sms_senders.*, rate, opens_in, is_slowed, is_to_wait from sms_senders ${PACE}) as sender
  full join waiting on paced_by = key
 where rate is not null or is_to_wait or waiting is not null
 order by waiting desc nulls last, key`;
