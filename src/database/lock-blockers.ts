import { setTimeout as delay } from 'node:timers/promises';
import type { ClientBase } from 'pg';
import { MIGRATION_NAME } from './data-source-options.js';

const LOOK_INTERVAL_MILLISECONDS = 200;

/** The holder of a lock that a migration waits for. */
export interface Blocker {
  readonly description: string;
  /** What an operator can do about it. */
  readonly remedy: string;
}

interface SessionRow {
  /** 0: a prepared transaction, which has no process. */
  readonly pid: number;
  readonly name: string | null;
  readonly state: string | null;
  /** Null for a session of another user, if this role may not see it. */
  readonly since: string | null;
}

const SESSION = `coalesce(session.pid, 0) as pid, session.application_name as name, session.state,
  to_char(coalesce(session.xact_start, session.query_start) at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS "UTC"') as since`;

/** Finds what blocks a migration: the oldest blocking transaction. */
const BLOCKER = `
select coalesce(waiting.relation::regclass::text, waiting.locktype) as what, ${SESSION}
  from pg_stat_activity as migration
  join pg_locks as waiting on waiting.pid = migration.pid and not waiting.granted
 cross join lateral unnest(pg_blocking_pids(migration.pid)) as blocker (pid)
  left join pg_stat_activity as session on session.pid = blocker.pid
 where migration.application_name = $1 and migration.datname = current_database()
 order by session.xact_start nulls last
 limit 1`;

const ADVISORY_LOCK_HOLDER = `
select ${SESSION}
  from pg_locks as lock left join pg_stat_activity as session on session.pid = lock.pid
 where lock.locktype = 'advisory' and lock.granted and lock.classid = 0 and lock.objid = $1 and lock.objsubid = 1
   and lock.database = (select oid from pg_database where datname = current_database())`;

/** Watches what the sessions of migrations wait for, from a connection that never waits. */
export class Blockers {
  /** The last blocker of a migration. */
  last: Blocker | undefined;

  constructor(private readonly watcher: ClientBase) {}

  async watchedDuring<Result>(work: Promise<Result>): Promise<Result> {
    const ended = new AbortController();
    const watching = this.watch(ended.signal);
    try {
      return await work;
    } finally {
      ended.abort();
      await watching;
    }
  }

  private async watch(signal: AbortSignal): Promise<void> {
    for (;;) {
      await delay(LOOK_INTERVAL_MILLISECONDS, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      // This is informational: the migration itself reports what is wrong with the database.
      const found = await this.watcher
        .query<SessionRow & { what: string }>(BLOCKER, [MIGRATION_NAME])
        .catch(() => undefined);
      const row = found?.rows[0];
      if (row !== undefined) this.last = describe(row, `${row.what} is locked by`);
    }
  }
}

export async function advisoryLockHolder(client: ClientBase, lock: number): Promise<Blocker> {
  const { rows } = await client.query<SessionRow>(ADVISORY_LOCK_HOLDER, [lock]);
  // The blocker may have ended meanwhile.
  const row = rows[0] ?? { pid: 0, name: null, state: null, since: null };
  return describe(row, 'its lock is held by');
}

function describe({ pid, name, state, since }: SessionRow, what: string): Blocker {
  if (pid === 0) {
    return {
      description: `${what} a prepared transaction, or one that has just ended`,
      remedy: 'See pg_prepared_xacts: commit the transaction or roll it back, and try again.',
    };
  }
  const details = [
    name === null || name === '' ? null : `application ${JSON.stringify(name)}`,
    state,
    since === null ? null : `since ${since}`,
  ].filter((detail) => detail !== null);
  const inBrackets = details.length === 0 ? '' : ` (${details.join(', ')})`;
  return {
    description: `${what} process ${pid}${inBrackets}`,
    remedy: `Let it end, or end it with "select pg_terminate_backend(${pid})", and try again.`,
  };
}
