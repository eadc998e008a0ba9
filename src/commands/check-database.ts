import type { DataSource } from 'typeorm';
import { dataSourceOptions } from '../database/data-source-options.js';
import type { DatabaseConnection } from '../database/database-connection.js';
import { layoutProblemsOf } from '../database/migrate-database.js';
import { openMigrated, rowProblemsWith } from '../database/open-database.js';
import { PreconditionError, type Problem } from '../database/preconditions.js';
import { hasApplicationTables } from '../messages/application-tables.js';
import { JobQueueInspection } from '../domain-events/job-queue-inspection.js';
import { followingDelay, LONGEST_DELAY } from '../follower/event-outbox.js';
import { FallbackRecords } from '../operations/fallback-records.js';
import { StartupError } from '../process/startup-error.js';
import { outageInWords } from '../twilio/outage-reasons.js';
import { TwilioOutages } from '../twilio/twilio-outages.js';
import { counted } from './command.js';
import { type Finding, ill, well } from './finding.js';

/** Checks that the application's tables are still as the migrations found them. Silent if so. */
export async function* checkMessages(dataSource: DataSource): AsyncGenerator<Finding> {
  if (!hasApplicationTables(dataSource)) {
    yield well('messages', 'the tables of the application are not used (ORIGINAL_MESSAGES=twilio)');
    return;
  }
  const [unsuitable] = await dataSource.query<{ type: string }[]>(WITHOUT_INDEX_FOR_TEXT);
  if (unsuitable === undefined) return;
  yield ill(
    'messages',
    `messages.twilio_sid is ${unsuitable.type} without a unique index for text, so each callback reads the whole table`,
    'Make it text or varchar, and unique: alter table messages alter twilio_sid type text',
  );
}

/** The same check as in migrations/create_message_events_table.sql. */
const WITHOUT_INDEX_FOR_TEXT = `
select format_type(atttypid, atttypmod) as type from pg_attribute
 where attrelid = 'messages'::regclass and attname = 'twilio_sid'
   and not exists (
     select from pg_index join pg_opclass on pg_opclass.oid = indclass[0]
      where indrelid = attrelid and indkey[0] = attnum and indisunique and indisvalid and indnkeyatts = 1 and indpred is null
        and opcintype = 'text'::regtype
   )`;

/** Checks that event counting, the basis of the statistics, keeps up. */
export async function* checkCounting(dataSource: DataSource): AsyncGenerator<Finding> {
  const seconds = await followingDelay(dataSource);
  if (seconds <= LONGEST_DELAY) {
    yield well('statistics', 'events are counted');
    return;
  }
  yield ill(
    'statistics',
    `event counting has been stalled for ${Math.round(seconds / 60)} minutes: old events are kept, and statistics are slow`,
    'Start the service; if it runs, see docs/runbook.md#countingbehind',
  );
}

/**
 * Checks that the database answers and is migrated, and that its queue is worked on.
 * @param connections the maximum number of the service's connections.
 * @param further checks that need the migrated database.
 */
export async function* checkDatabase(
  open: () => Promise<DatabaseConnection>,
  connections: number,
  further: (dataSource: DataSource) => AsyncGenerator<Finding>,
): AsyncGenerator<Finding> {
  let dataSource: DataSource;
  let connection: DatabaseConnection;
  try {
    connection = await open();
  } catch (error) {
    if (error instanceof StartupError && error.message.includes('in use by another process')) {
      yield well('database', 'the embedded database is in use by the service, so it cannot be checked');
      return;
    }
    if (error instanceof PreconditionError) yield* error.problems.map(asFinding);
    else yield ill('database', sentence(error), 'Start it, or correct DATABASE_URL');
    return;
  }
  try {
    yield well('database', connection.embedded ? 'the embedded database opens' : 'it answers');
    try {
      dataSource = await openMigrated(dataSourceOptions(connection));
    } catch (error) {
      yield ill(
        'migrations',
        sentence(error),
        error instanceof StartupError ? 'npm run migrate' : 'See the message',
      );
      yield* (await layoutProblemsOf(connection)).map(asFinding);
      return;
    }
    yield well('migrations', 'all are applied');
    if (!connection.embedded) yield* checkConnections(dataSource, connections);
    yield* checkMessages(dataSource);
    yield* (await rowProblemsWith(dataSource)).map(asFinding);
    yield* checkQueue(dataSource);
    yield* checkFallbacks(dataSource);
    yield* checkCounting(dataSource);
    yield* further(dataSource);
    await dataSource.destroy();
  } finally {
    await connection.close();
  }
}

/** `reserved_connections` exists since PostgreSQL 16; -1 means no limit. */
const CONNECTIONS = `
select 'the server' as limited,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
         - coalesce(current_setting('reserved_connections', true)::int, 0) as available,
       'Raise the server''s max_connections' as remedy
 union all
select 'the database', datconnlimit, format('alter database %I connection limit -1', datname)
  from pg_database where datname = current_database() and datconnlimit >= 0
 union all
select 'the role', rolconnlimit, format('alter role %I connection limit -1', rolname)
  from pg_roles where rolname = session_user and rolconnlimit >= 0`;

/** Checks that there are enough connections for this replica alone. */
async function* checkConnections(dataSource: DataSource, needed: number): AsyncGenerator<Finding> {
  const limits =
    await dataSource.query<{ limited: string; available: number; remedy: string }[]>(CONNECTIONS);
  for (const { limited, available, remedy } of limits) {
    if (needed <= available) continue;
    const found = `this replica opens up to ${needed}, and ${limited} allows ${available} in all`;
    yield ill('connections', found, remedy);
  }
}

async function* checkQueue(dataSource: DataSource): AsyncGenerator<Finding> {
  const { waiting, overdue, oldestAgeSeconds, exhausted } = await new JobQueueInspection(dataSource).look();
  if (overdue > 0) {
    const minutes = Math.round(oldestAgeSeconds / 60);
    yield ill(
      'queue',
      `${counted(waiting, 'job')} waiting, the first for ${minutes} minutes`,
      'Start the service; if it runs, look at its log and at /health/ready',
    );
  } else {
    yield well(
      'queue',
      waiting === 0 ? 'nothing waits' : `${counted(waiting, 'job')} waiting, none for long`,
    );
  }
  if (exhausted > 0) {
    yield ill('queue', `out of attempts: ${counted(exhausted, 'job')}`, 'docs/runbook.md#jobsexhausted');
  }
}

/** Checks for overdue SMS and for outages of Twilio that the service recorded. */
async function* checkFallbacks(dataSource: DataSource): AsyncGenerator<Finding> {
  const overdue = await new FallbackRecords(dataSource).countOverdue();
  if (overdue === 0) yield well('fallbacks', 'no SMS is overdue');
  else {
    const found = `overdue for more than 15 minutes: ${overdue.toLocaleString('en')} SMS`;
    yield ill('fallbacks', found, 'docs/runbook.md#fallbacksoverdue');
  }
  for (const { accountSid, reason, ageSeconds, waiting } of await new TwilioOutages(dataSource, {}).list()) {
    const { meaning, remedy } = outageInWords(reason);
    const minutes = Math.round(ageSeconds / 60);
    const found = `${accountSid} has been unusable for ${minutes} minutes, ${waiting} SMS wait: ${meaning}`;
    yield ill('twilio outage', found.replace(/\.$/, ''), remedy.replace(/\.$/, ''));
  }
}

function asFinding({ check, found, remedy }: Problem): Finding {
  return ill(check, found, remedy);
}

function sentence(error: unknown): string {
  const [first = ''] = (error instanceof Error ? error.message || error.name : String(error)).split('\n');
  return first.replace(/[.:]$/, '');
}
