import {
  ConfigurableModuleBuilder,
  Inject,
  Injectable,
  Logger,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, type PoolConfig } from 'pg';
import { DataSource } from 'typeorm';
import { InjectDatabase } from '../process/inject-database.js';
import { onMeasured } from '../process/measurements.js';

export interface HealthModuleOptions {
  /** The database that events are committed to. Its `Client` is used for one connection at a time. */
  connection: PoolConfig;
  /** Stores an event and rolls it back. @throws the error that keeps events from being stored. */
  rehearse: () => Promise<void>;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<HealthModuleOptions>().setClassMethodName('forRoot').build();

/** How long an answer is reused, in milliseconds. It limits the check to one commit a second. */
const ANSWER_LIFE_MILLISECONDS = 1_000;

const CHECK_LIMIT_MILLISECONDS = 4_000;
const END_LIMIT_MILLISECONDS = 1_000;

/** How long to report a full disk without trying a commit, after callbacks met one; in milliseconds. */
const REFUSED_MILLISECONDS = 5_000;

/** SQLSTATEs of a full disk, other system errors, and corrupted data. A tiny commit may succeed despite them. */
const DISK_FAILURE = /^(53100|58|XX)/;

const TOO_MANY_CONNECTIONS = '53300';

/** Needs no new page and always writes: PostgreSQL reuses the space of the row's earlier versions. */
const COMMIT = `
insert into whatsapp_sms_fallback_heartbeat (committed_at) values (now())
    on conflict (only_row) do update set committed_at = excluded.committed_at`;

/** 64 kB of new pages. */
const GROW = `
update whatsapp_sms_fallback_heartbeat
   set padding = (select string_agg(md5(random()::text), '') from generate_series(1, 2000))`;

/**
 * Checks that an event could be committed now, by committing a row of its own. It uses a connection outside the pool,
 * whose connections may all be busy, e.g. waiting for the application's locks. The first check, and any check after an
 * event could not be stored, also rehearses storing one.
 */
@Injectable()
export class CommitCheck implements OnApplicationShutdown {
  private readonly logger = new Logger('Health');
  private readonly ended: () => void;
  private current: Promise<string | null> | undefined;
  private isDown = false;
  private refused: { readonly code: string; readonly at: number } | undefined;
  /** The number of refused events, and how many of them a later rehearsal has covered. */
  private refusals = 1;
  private rehearsed = 0;

  constructor(
    @Inject(MODULE_OPTIONS_TOKEN) private readonly options: HealthModuleOptions,
    @InjectDatabase() private readonly dataSource: DataSource,
  ) {
    this.ended = onMeasured('events.refused', ({ code }) => {
      this.refusals += 1;
      if (DISK_FAILURE.test(code)) this.refused = { code, at: performance.now() };
    });
  }

  onApplicationShutdown(): void {
    this.ended();
  }

  /** @returns why nothing can be committed, in a sentence without names or addresses; null if it can. */
  problem(): Promise<string | null> {
    this.current ??= this.check().finally(() => {
      setTimeout(() => (this.current = undefined), ANSWER_LIFE_MILLISECONDS).unref();
    });
    return this.current;
  }

  private async check(): Promise<string | null> {
    try {
      if (this.isRefused()) throw Object.assign(new Error('Callbacks could not be stored'), this.refused);
      await this.commit();
      if (this.isDown) this.logger.log('The database commits again');
      this.isDown = false;
      return null;
    } catch (error) {
      const fields = { error: error instanceof Error ? error.message : String(error), code: codeOf(error) };
      this.logger[this.isDown ? 'debug' : 'error']('The database does not commit', fields);
      this.isDown = true;
      return explain(error);
    }
  }

  private isRefused(): boolean {
    return this.refused !== undefined && performance.now() - this.refused.at < REFUSED_MILLISECONDS;
  }

  private async commit(): Promise<void> {
    const { refused, refusals } = this;
    try {
      await withConnection(this.options.connection, async (client) => {
        await client.query(COMMIT);
        if (refused !== undefined) await tryToGrow(client);
      });
    } catch (error) {
      if (codeOf(error) !== TOO_MANY_CONNECTIONS) throw error;
      // The service's existing connections may still work.
      await withinLimit(this.dataSource.query(COMMIT));
    }
    if (this.rehearsed < refusals) await withinLimit(this.options.rehearse());
    this.rehearsed = refusals;
    if (this.refused === refused) this.refused = undefined;
  }
}

async function tryToGrow(client: Client): Promise<void> {
  await client.query('begin');
  await client.query(GROW);
  await client.query('rollback');
}

/** Work that exceeds the limit is canceled by the client's `end()`, or PostgreSQL would wait on, e.g. for a standby. */
async function withConnection(options: PoolConfig, work: (client: Client) => Promise<void>): Promise<void> {
  const client = new ((options.Client ?? Client) as typeof Client)(options);
  client.on('error', () => undefined);
  const working = client.connect().then(() => work(client));
  try {
    await withinLimit(working);
  } finally {
    await within(END_LIMIT_MILLISECONDS, client.end());
  }
}

async function withinLimit<Result>(work: Promise<Result>): Promise<Result> {
  const isInTime = await within(CHECK_LIMIT_MILLISECONDS, work);
  if (!isInTime) throw new Error(`No answer within ${CHECK_LIMIT_MILLISECONDS} ms`);
  return work;
}

/** @returns whether the work has settled in time. */
async function within(milliseconds: number, work: Promise<unknown>): Promise<boolean> {
  const ended = new AbortController();
  const limit = delay(milliseconds, false, { signal: ended.signal, ref: false });
  const end = work.then(
    () => true,
    () => true,
  );
  try {
    return await Promise.race([end, limit.catch(() => false)]);
  } finally {
    ended.abort();
  }
}

function codeOf(error: unknown): string | undefined {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : undefined;
}

const UNANSWERED = 'The database cannot be reached, or does not confirm a commit in time.';

/** SQLSTATEs, and what they mean for readiness. */
const EXPLANATIONS: readonly (readonly [RegExp, string])[] = [
  [/^25006$/, 'The database is read-only: it is a standby, or writes are disabled.'],
  [/^53100$/, "The database's disk is full."],
  [/^(53|57P)/, 'The database does not accept connections now.'],
  [/^(58|XX)/, 'The database has a problem with its disk or its data.'],
  [/^(08|57014)/, UNANSWERED],
  [/^([0-9]|F0|HV|P0)[0-9A-Z]+$/, 'The database refuses to commit; the log says why.'],
];

function explain(error: unknown): string {
  const code = codeOf(error) ?? '';
  const known = EXPLANATIONS.find(([pattern]) => pattern.test(code));
  return known?.[1] ?? UNANSWERED;
}
