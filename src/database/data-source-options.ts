import type { PoolConfig } from 'pg';
import { AbstractLogger, type DataSourceOptions } from 'typeorm';
import { migrations } from '../../migrations/migrations.js';
import { MessageEventCountWatermark } from '../event-counts/message-event-count-watermark.entity.js';
import { MessageEventCount } from '../event-counts/message-event-count.entity.js';
import { SmsFallback } from '../fallback/sms-fallback.entity.js';
import { MessageEvent } from '../message-events/message-event.entity.js';
import { Company } from '../messages/company.entity.js';
import { Conversation } from '../messages/conversation.entity.js';
import { Message } from '../messages/message.entity.js';
import { EndedSession } from '../operations/ended-session.entity.js';
import { MessagePollWatermark } from '../status-polling/message-poll-watermark.entity.js';
import { MessagePoll } from '../status-polling/message-poll.entity.js';
import { TwilioFailure } from '../twilio/twilio-failure.entity.js';
import { RejectedCallback } from '../webhooks/rejected-callback.entity.js';
import type { Env } from '../config/env.js';
import type { DatabaseConnection } from './database-connection.js';
import { type PreparedStatements, ReliableClient, type ReliableClientConfig } from './reliable-client.js';
import { ServerConnections } from './server-connections.js';
import type { SessionSettings } from './session-settings.js';
import type { WritableClientConfig } from './writable-client.js';

/** Not TypeORM's default name: the database may be an application's, with migrations of its own. */
export const MIGRATIONS_TABLE = 'whatsapp_sms_fallback_migrations';

/** What PostgreSQL itself is told for each connection, in milliseconds. */
export const SESSION_LIMITS = {
  statement_timeout: '3000',
  // A process that is suspended amid a transaction shall not keep the application's rows locked.
  idle_in_transaction_session_timeout: '5000',
};

/**
 * In milliseconds. Twilio waits 15 s for an answer: a callback that waits for one group and is in the next one still gets
 * its 503 in that time, where each takes one statement. With a policy failure it takes four, and may be too late for it.
 */
const ANSWER_LIMITS = { connectionTimeoutMillis: 3_000, query_timeout: 4_000 };

/** The statements of the job queue may take longer. */
const JOB_QUEUE_SESSION_LIMITS = { ...SESSION_LIMITS, statement_timeout: '9000' };
const JOB_QUEUE_ANSWER_LIMITS = { connectionTimeoutMillis: 4_000, query_timeout: 10_000 };

const POOL_CONNECTIONS = 10;
const HEALTH_CONNECTIONS = 1;

/** From here, sessions are ended that hang and do not hear us. */
const PLACE_FOR_TERMINATION = 1;

/** How the service is called in pg_stat_activity. */
const APPLICATION_NAME = 'whatsapp-sms-fallback';

/**
 * What every connection to the database is made with.
 * @param limits of its session; the embedded database has one session for all, and no settings to depend on.
 */
export function clientOptions(
  { client, embedded }: DatabaseConnection,
  limits: SessionSettings = SESSION_LIMITS,
): WritableClientConfig {
  return {
    ...client,
    keepAlive: true,
    application_name: APPLICATION_NAME,
    ...(!embedded && { sessionLimits: limits }),
  };
}

/** The same for a pool, whose connections are given up when a statement's answer does not come. */
function poolOptions(
  connection: DatabaseConnection,
  most: number,
  limits: SessionSettings,
): PoolConfig & ReliableClientConfig {
  const Client: unknown = ReliableClient;
  return {
    ...clientOptions(connection, limits),
    Client: Client as PoolConfig['Client'],
    max: most,
    ...(!connection.embedded && { serverConnections: new ServerConnections(most) }),
  };
}

/**
 * A pool of connections for the job queue.
 * @param concurrency how many jobs this process does at a time. Each takes a connection when it begins and ends.
 */
export function jobQueuePoolOptions(connection: DatabaseConnection, concurrency: number): PoolConfig {
  const most = jobQueueConnections(concurrency);
  return { ...poolOptions(connection, most, JOB_QUEUE_SESSION_LIMITS), ...JOB_QUEUE_ANSWER_LIMITS };
}

function jobQueueConnections(concurrency: number): number {
  return concurrency === 0 ? 0 : Math.max(POOL_CONNECTIONS, concurrency);
}

/** How a session that changes tables is called, so that what it waits for can be found. */
export const MIGRATION_NAME = 'whatsapp-sms-fallback migrate';

/**
 * A connection for migrations, which may take their time, but not while they wait for a lock: whoever wants the table waits
 * behind them.
 * @param lockTimeout in milliseconds.
 */
export function migrationPoolOptions(connection: DatabaseConnection, lockTimeout: number): PoolConfig {
  const limits = {
    statement_timeout: '0',
    lock_timeout: String(lockTimeout),
    // A process that is suspended amid a migration shall not keep the application's tables locked.
    idle_in_transaction_session_timeout: '30000',
  };
  return { ...poolOptions(connection, 1, limits), application_name: MIGRATION_NAME };
}

/** The one connection of /health/ready, which waits for no other. */
export function healthConnectionOptions(connection: DatabaseConnection): PoolConfig {
  return { ...poolOptions(connection, HEALTH_CONNECTIONS, SESSION_LIMITS), ...ANSWER_LIMITS };
}

/** Returns how many connections a replica has at most. */
export function mostConnections(env: Pick<Env, 'WORKER_CONCURRENCY'>): number {
  return POOL_CONNECTIONS + HEALTH_CONNECTIONS + jobQueueConnections(env.WORKER_CONCURRENCY);
}

/** TypeORM writes to the console of its own accord, whatever the form of our log. All it has to say it throws too. */
class SilentLogger extends AbstractLogger {
  protected override writeLog(): void {
    // See above.
  }
}

/** @param preparedStatements as ReliableClient has them; the embedded database does without. */
export function dataSourceOptions(
  connection: DatabaseConnection,
  preparedStatements?: PreparedStatements,
): DataSourceOptions {
  return {
    type: 'postgres',
    applicationName: APPLICATION_NAME,
    entities: [
      Company,
      Conversation,
      Message,
      MessageEvent,
      SmsFallback,
      RejectedCallback,
      MessagePoll,
      MessagePollWatermark,
      MessageEventCount,
      MessageEventCountWatermark,
      TwilioFailure,
      EndedSession,
    ],
    migrations: [...migrations],
    logger: new SilentLogger(),
    migrationsTableName: MIGRATIONS_TABLE,
    // In one transaction, each lock would be held until the last index of the last table is built.
    migrationsTransactionMode: 'each',
    synchronize: false,
    installExtensions: false,
    uuidExtension: 'pgcrypto',
    // All that says where the database is: TypeORM itself reads one host only.
    extra: {
      ...poolOptions(connection, POOL_CONNECTIONS - PLACE_FOR_TERMINATION, SESSION_LIMITS),
      ...ANSWER_LIMITS,
      // Connections to the embedded database share one session, in which a name is taken once for all.
      preparedStatements: connection.embedded ? undefined : preparedStatements,
    },
  };
}
