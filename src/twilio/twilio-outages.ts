import { type BeforeApplicationShutdown, Inject, Injectable, Logger } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { IS_OPEN } from '../fallback/sms-fallback-state.js';
import { InjectDatabase } from '../process/inject-database.js';
import type { Operation } from './api-request-client.js';
import type { AccountFailure, OutageReason } from './outage-reasons.js';
import { MODULE_OPTIONS_TOKEN, type TwilioModuleOptions } from './twilio.module-definition.js';

/** A period in which an account cannot use Twilio. */
export interface Outage {
  readonly accountSid: string;
  readonly reason: OutageReason;
  /** The error code of the latest request. */
  readonly errorCode: string;
  /** The kinds of requests that fail. */
  readonly operations: readonly Operation[];
  /** When the first request failed. */
  readonly since: Date;
  readonly ageSeconds: number;
  /** Fallbacks of the account whose SMS is due. */
  readonly waiting: number;
}

/** Consecutive failures of one kind of request, whether or not they are an outage yet. */
export interface Failing {
  readonly accountSid: string;
  readonly operation: Operation;
  readonly reason: OutageReason;
  readonly errorCode: string;
  readonly failingForMilliseconds: number;
  readonly lastFailedMillisecondsAgo: number;
  /** Whether Twilio asks to wait before the next request. */
  readonly isToWait: boolean;
}

export type EndedOutage = Pick<Outage, 'accountSid' | 'reason' | 'since'> & { readonly seconds: number };

/** Consecutive failures that are not written yet. Times are from `performance.now()`. */
interface Failures extends AccountFailure {
  readonly count: number;
  readonly first: number;
  readonly last: number;
}

/** Unwritten observations of one kind of request: a success, and the failures after it. */
interface Unwritten {
  readonly accountSid: string;
  readonly operation: Operation;
  readonly succeededAt: number | null;
  readonly failures: Failures | null;
}

/** The latest failure of one kind of request that this process has written. */
interface Recorded {
  /** A time from `performance.now()`. */
  readonly last: number;
  /** The written time, by the database's clock. It is late by the time the statement took to arrive. */
  readonly writtenAs: string;
}

const OUTAGE_AFTER_MILLISECONDS = 60_000;

/**
 * Tracks what the requests of all replicas say about the accounts. `twilio_failures` keeps it, so that all replicas
 * agree and a restart changes nothing. While all is well, nothing is written.
 */
@Injectable()
export class TwilioOutages implements BeforeApplicationShutdown {
  private readonly logger = new Logger(TwilioOutages.name);
  private readonly unwritten = new Map<string, Unwritten>();
  private readonly succeededAt = new Map<string, number>();
  private readonly failing = new Set<string>();
  private readonly recorded = new Map<string, Recorded>();
  private ended: EndedOutage[] = [];
  private writing: Promise<void> | undefined;

  constructor(
    @InjectDatabase() private readonly dataSource: DataSource,
    @Inject(MODULE_OPTIONS_TOKEN)
    private readonly options: Pick<TwilioModuleOptions, 'outageAfterMilliseconds'>,
  ) {}

  /** @param failure the failure of a request that just ended; null for a success. */
  observe(accountSid: string, operation: Operation, failure: AccountFailure | null): void {
    const key = keyOf(accountSid, operation);
    const now = performance.now();
    if (failure !== null) {
      const before = this.unwritten.get(key);
      const { count = 0, first = now } = before?.failures ?? {};
      const failures = { ...failure, count: count + 1, first, last: now };
      this.unwritten.set(key, { accountSid, operation, succeededAt: null, ...before, failures });
      this.failing.add(key);
      void this.flush();
      return;
    }
    this.succeededAt.set(key, now);
    if (!this.failing.has(key)) return;
    this.unwritten.set(key, { accountSid, operation, succeededAt: now, failures: null });
    void this.flush();
  }

  /** Writes the observations. Never rejects: what cannot be written now is written with the next observation. */
  flush(): Promise<void> {
    this.writing ??= this.writeAll().finally(() => {
      this.writing = undefined;
    });
    return this.writing;
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.flush();
  }

  /** Lists the outages of all accounts, longest first. A single or brief failure is not an outage. */
  list(): Promise<Outage[]> {
    return this.dataSource.query<Outage[]>(LIST, [this.afterMilliseconds]);
  }

  /** Lists current failures. Ends those of other replicas that this process has seen succeed since. */
  async findFailing(): Promise<Failing[]> {
    const found = await this.dataSource.query<Failing[]>(FIND_FAILING);
    this.failing.clear();
    for (const { accountSid, operation } of [...found, ...this.unwritten.values()]) {
      this.failing.add(keyOf(accountSid, operation));
    }
    for (const { accountSid, operation, lastFailedMillisecondsAgo } of found) {
      const key = keyOf(accountSid, operation);
      const succeededAt = this.succeededAt.get(key);
      if (succeededAt === undefined) continue;
      const isLater = performance.now() - succeededAt < lastFailedMillisecondsAgo;
      if (isLater || this.recordedBefore(key, succeededAt) !== null)
        await this.end(accountSid, operation, succeededAt);
    }
    return found;
  }

  /**
   * Ends old failures of accounts that have made no request for long and have no SMS waiting.
   * @returns the accounts.
   */
  async forget(): Promise<string[]> {
    const rows = await this.dataSource.query<{ accountSid: string }[]>(FORGET, [this.afterMilliseconds]);
    return rows.map(({ accountSid }) => accountSid);
  }

  /** Takes the outages that this process has seen end since the last call. */
  takeEnded(): EndedOutage[] {
    return this.ended.splice(0);
  }

  /** Finds the longest outage of an account since a time; null without one. */
  async findSince(
    accountSid: string,
    since: Date,
  ): Promise<{ reason: OutageReason; seconds: number } | null> {
    const [outage = null] = await this.dataSource.query<{ reason: OutageReason; seconds: number }[]>(
      FIND_SINCE,
      [this.afterMilliseconds, accountSid, since],
    );
    return outage;
  }

  private get afterMilliseconds(): number {
    return this.options.outageAfterMilliseconds ?? OUTAGE_AFTER_MILLISECONDS;
  }

  /** Writes with one statement at a time, however many requests fail. */
  private async writeAll(): Promise<void> {
    for (;;) {
      const [next] = this.unwritten;
      if (next === undefined) return;
      const [key, unwritten] = next;
      this.unwritten.delete(key);
      try {
        await this.write(unwritten);
      } catch (error) {
        this.logger.debug('What Twilio answered cannot be written now', { error: String(error) });
        this.unwritten.set(key, together(unwritten, this.unwritten.get(key)));
        return;
      }
    }
  }

  private async write({ accountSid, operation, succeededAt, failures }: Unwritten): Promise<void> {
    if (succeededAt !== null) await this.end(accountSid, operation, succeededAt);
    if (failures === null) return;
    const now = performance.now();
    const { reason, code, first, last, count, retryAfterSeconds } = failures;
    const [row] = await this.dataSource.query<[Pick<Recorded, 'writtenAs'>]>(RECORD, [
      accountSid,
      operation,
      reason,
      code,
      now - first,
      now - last,
      count,
      retryAfterSeconds,
    ]);
    const key = keyOf(accountSid, operation);
    this.recorded.set(key, { last, ...row });
    this.failing.add(key);
  }

  private async end(accountSid: string, operation: Operation, succeededAt: number): Promise<void> {
    const key = keyOf(accountSid, operation);
    const ended = await this.dataSource.query<(EndedOutage & { isOutage: boolean })[]>(END, [
      this.afterMilliseconds,
      accountSid,
      operation,
      performance.now() - succeededAt,
      this.recordedBefore(key, succeededAt),
    ]);
    if (ended.length > 0) this.failing.delete(key);
    this.ended.push(...ended.filter(({ isOutage }) => isOutage));
  }

  /** Returns the written time of this process's own latest failure, if that came before the success. */
  private recordedBefore(key: string, succeededAt: number): string | null {
    const recorded = this.recorded.get(key);
    return recorded !== undefined && recorded.last <= succeededAt ? recorded.writtenAs : null;
  }
}

function keyOf(accountSid: string, operation: Operation): string {
  return `${accountSid} ${operation}`;
}

/** Merges later observations, if any, into earlier ones. */
function together(earlier: Unwritten, later: Unwritten | undefined): Unwritten {
  if (later === undefined) return earlier;
  if (later.succeededAt !== null || later.failures === null) return later;
  const { failures } = earlier;
  const { count, first } = later.failures;
  return {
    ...earlier,
    failures: { ...later.failures, count: count + (failures?.count ?? 0), first: failures?.first ?? first },
  };
}

/**
 * Several requests have failed for the given time, so that a single slow one is not an outage. A wait that Twilio asks
 * for counts as well, because there is no second request.
 */
const IS_OUTAGE = `(
  failing_since <= now() - $1 * interval '1 millisecond'
  and (failures > 1 or coalesce(retry_at >= failing_since + $1 * interval '1 millisecond', false))
)`;

/**
 * A fallback of the account whose SMS is due. Uses sms_fallbacks_open_idx, which has only open fallbacks, and stops at
 * a limit.
 */
const WAITING = `
  select from sms_fallbacks
   where ${IS_OPEN} and sms_fallbacks.account_sid = current.account_sid
     and coalesce(sms_fallbacks.reason, '') not in ('held', 'deferred', 'waiting_for_original_message')
   limit 100000`;

const LIST = `
select account_sid as "accountSid", reason, (array_agg(error_code order by last_failed_at desc))[1] as "errorCode",
       array_agg(operation order by operation desc) as operations, min(failing_since) as since,
       extract(epoch from now() - min(failing_since))::float8 as "ageSeconds",
       (select count(*)::int from (${WAITING}) as waiting) as waiting
  from twilio_failures as current
 where ended_at is null
 group by account_sid, reason
having bool_or(${IS_OUTAGE})
 order by since, account_sid, reason`;

const FIND_FAILING = `
select account_sid as "accountSid", operation, reason, error_code as "errorCode",
       extract(epoch from now() - failing_since)::float8 * 1000 as "failingForMilliseconds",
       extract(epoch from now() - last_failed_at)::float8 * 1000 as "lastFailedMillisecondsAgo",
       coalesce(retry_at > now(), false) as "isToWait"
  from twilio_failures where ended_at is null`;

/** Times are passed as ages, because the database's clock decides. */
const RECORD = `
insert into twilio_failures as current (
  account_sid, operation, reason, error_code, failing_since, last_failed_at, failures, retry_at
)
values (
  $1, $2, $3, $4, now() - $5 * interval '1 millisecond', now() - $6 * interval '1 millisecond', $7,
  now() + $8 * interval '1 second'
)
on conflict (account_sid, operation) where ended_at is null do update
  set reason = excluded.reason, error_code = excluded.error_code,
      last_failed_at = greatest(current.last_failed_at, excluded.last_failed_at),
      failures = current.failures + excluded.failures, retry_at = excluded.retry_at
returning (now() - $6 * interval '1 millisecond')::text as "writtenAs"`;

/**
 * Keeps failures that are later than the success. $5 is this process's own latest failure before the success, because
 * the order of those is known however late they were written.
 */
const END = `
with current as (
  select id, account_sid, reason, failing_since, ${IS_OUTAGE} as is_outage from twilio_failures
   where account_sid = $2 and operation = $3 and ended_at is null
     and last_failed_at <= greatest(now() - $4 * interval '1 millisecond', $5::timestamptz)
     for update
),
deleted as (
  delete from twilio_failures using current where twilio_failures.id = current.id and not is_outage
),
ended as (
  update twilio_failures set ended_at = now() - $4 * interval '1 millisecond'
    from current where twilio_failures.id = current.id and is_outage
)
select account_sid as "accountSid", reason, failing_since as since, is_outage as "isOutage",
       extract(epoch from now() - failing_since)::float8 as seconds
  from current`;

/** Outages are kept for 31 days, because an original may be 30 days old when its SMS is sent. */
const FORGET = `
with lapsed as (
  select id, account_sid, ${IS_OUTAGE} as is_outage from twilio_failures as current
   where ended_at is null and last_failed_at < now() - interval '15 minutes'
     and coalesce(retry_at < now(), true) and not exists (${WAITING})
     for update
),
ended as (
  update twilio_failures set ended_at = last_failed_at from lapsed where twilio_failures.id = lapsed.id and is_outage
),
deleted as (
  delete from twilio_failures using lapsed where twilio_failures.id = lapsed.id and not is_outage
),
old as (
  delete from twilio_failures where ended_at < now() - interval '31 days'
)
select account_sid as "accountSid" from lapsed where is_outage`;

const FIND_SINCE = `
select reason,
       extract(epoch from coalesce(ended_at, now()) - greatest(failing_since, $3::timestamptz))::float8 as seconds
  from twilio_failures
 where account_sid = $2 and coalesce(ended_at, now()) > $3::timestamptz
   and (ended_at is not null or ${IS_OUTAGE})
 order by seconds desc limit 1`;
