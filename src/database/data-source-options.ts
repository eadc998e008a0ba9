import type { PoolConfig } from 'pg';
import { AbstractLogger, type DataSourceOptions } from 'typeorm';
import { migrationsFor } from '../../migrations/migrations.js';
import type { Env } from '../config/env.js';
import { SmsSenderPace } from '../fallback/sender-pace.entity.js';
import { SmsFallback } from '../fallback/sms-fallback.entity.js';
import { MessageEventCount } from '../follower/message-event-count.entity.js';
import { MessageEvent, MessageEventOutbox } from '../message-events/message-event.entity.js';
import { Company, Conversation, Message } from '../messages/message.entity.js';
import { EndedSession } from '../operations/ended-session.entity.js';
import { MessagePoll, MessagePollWatermark } from '../status-polling/message-poll.entity.js';
import { TwilioFailure } from '../twilio/twilio-failure.entity.js';
import { RejectedCallback } from '../webhooks/rejected-callback.entity.js';
import { type DatabaseConnection, queueSchemaOf } from './database-connection.js';
import { type PreparedStatements, ReliableClient, type ReliableClientConfig } from './reliable-client.js';
import { ServerConnections } from './server-connections.js';
import type { SessionSettings } from './session-settings.js';
import type { WritableClientConfig } from './writable-client.js';

/** Not TypeORM's default name: the database may belong to an application with its own migrations. */
export const MIGRATIONS_TABLE = 'whatsapp_sms_fallback_migrations';

/** Limits that PostgreSQL enforces for each connection, in milliseconds. */
export const SESSION_LIMITS = {
  statement_timeout: '3000',
  // A process that is suspended during a transaction must not keep the application's rows locked.
  idle_in_transaction_session_timeout: '5000',
};

/**
 * In milliseconds. Twilio waits 15 s for an answer. A callback that waits for one group and joins the next one still
 * gets its 503 in that time if each group takes one statement. A group with a policy failure takes four, and its 503
 * may come too late.
 */
const ANSWER_LIMITS = { connectionTimeoutMillis: 3_000, query_timeout: 4_000 };

/** The statements of the job queue may take longer. */
const JOB_QUEUE_SESSION_LIMITS = { ...SESSION_LIMITS, statement_timeout: '9000' };
const JOB_QUEUE_ANSWER_LIMITS = { connectionTimeoutMillis: 4_000, query_timeout: 10_000 };

const POOL_CONNECTIONS = 10;
const HEALTH_CONNECTIONS = 1;

/** One connection is reserved to terminate sessions that hang and do not respond. */
const PLACE_FOR_TERMINATION = 1;

/** The name of the service in pg_stat_activity. */
const APPLICATION_NAME = 'whatsapp-sms-fallback';

/**
 * Options of every connection to the database.
 * @param limits limits of the session; the embedded database has one session for all, so no settings are made.
 */
export function clientOptions(
  { client, embedded, schema }: DatabaseConnection,
  limits: SessionSettings = SESSION_LIMITS,
): WritableClientConfig {
  return {
    ...client,
    keepAlive: true,
    application_name: APPLICATION_NAME,
    ...(!embedded && { sessionLimits: limits }),
    schema,
  };
}

/** Options of a pool of the service's. */
export type ServicePoolOptions = PoolConfig & ReliableClientConfig;

/** The same for a pool, whose connections are closed when a statement gets no answer. */
function poolOptions(
  connection: DatabaseConnection,
  most: number,
  limits: SessionSettings,
): ServicePoolOptions {
  const Client: unknown = ReliableClient;
  return {
    ...clientOptions(connection, limits),
    Client: Client as PoolConfig['Client'],
    max: most,
    queueSchema: queueSchemaOf(connection.schema),
    ...(!connection.embedded && { serverConnections: new ServerConnections(most) }),
  };
}

/**
 * A pool of connections for the job queue.
 * @param concurrency how many jobs this process runs at a time. Each takes a connection when it starts and when it
 * ends.
 */
export function jobQueuePoolOptions(connection: DatabaseConnection, concurrency: number): PoolConfig {
  const most = jobQueueConnections(concurrency);
  return { ...poolOptions(connection, most, JOB_QUEUE_SESSION_LIMITS), ...JOB_QUEUE_ANSWER_LIMITS };
}

function jobQueueConnections(concurrency: number): number {
  return concurrency === 0 ? 0 : Math.max(POOL_CONNECTIONS, concurrency);
}

/** The name of a session that changes tables, so that the session that blocks it can be found. */
export const MIGRATION_NAME = 'whatsapp-sms-fallback migrate';

/**
 * Options of a connection for migrations. They may take long, but must not wait long for a lock: other sessions queue
 * behind them.
 * @param lockTimeout limit in milliseconds.
 */
export function migrationPoolOptions(connection: DatabaseConnection, lockTimeout: number): PoolConfig {
  const limits = {
    statement_timeout: '0',
    lock_timeout: String(lockTimeout),
    // A process that is suspended during a migration must not keep the application's tables locked.
    idle_in_transaction_session_timeout: '30000',
  };
  return { ...poolOptions(connection, 1, limits), application_name: MIGRATION_NAME };
}

/** The one connection of /health/ready, which never waits for another connection. */
export function healthConnectionOptions(connection: DatabaseConnection): PoolConfig {
  return { ...poolOptions(connection, HEALTH_CONNECTIONS, SESSION_LIMITS), ...ANSWER_LIMITS };
}

/** Returns the maximum number of connections of a replica. */
export function mostConnections(env: Pick<Env, 'WORKER_CONCURRENCY'>): number {
  return POOL_CONNECTIONS + HEALTH_CONNECTIONS + jobQueueConnections(env.WORKER_CONCURRENCY);
}

/**
 * Silences TypeORM, which writes to the console in its own format. It throws everything that it logs, so nothing is
 * lost.
 */
class SilentLogger extends AbstractLogger {
  protected override writeLog(): void {
    // See above.
  }
}

const ownEntities = [
  MessageEvent,
  MessageEventOutbox,
  SmsFallback,
  SmsSenderPace,
  RejectedCallback,
  MessagePoll,
  MessagePollWatermark,
  MessageEventCount,
  TwilioFailure,
  EndedSession,
] as const;

/** The tables of the service, and those of the application that it reads. */
export const entities = [Company, Conversation, Message, ...ownEntities] as const;

/** @param preparedStatements as in ReliableClient; the embedded database uses none. */
export function dataSourceOptions(
  connection: DatabaseConnection,
  preparedStatements?: PreparedStatements,
): DataSourceOptions {
  return {
    type: 'postgres',
    applicationName: APPLICATION_NAME,
    entities: connection.applicationTables === false ? [...ownEntities] : [...entities],
    migrations: [...migrationsFor(connection)],
    logger: new SilentLogger(),
    migrationsTableName: MIGRATIONS_TABLE,
    // In one transaction, each lock would be held until the last index of the last table is built.
    migrationsTransactionMode: 'each',
    synchronize: false,
    installExtensions: false,
    uuidExtension: 'pgcrypto',
    // The complete address of the database: TypeORM itself reads one host only.
    extra: {
      ...poolOptions(connection, POOL_CONNECTIONS - PLACE_FOR_TERMINATION, SESSION_LIMITS),
      ...ANSWER_LIMITS,
      // Connections to the embedded database share one session, in which a statement name can be used only once.
      preparedStatements: connection.embedded ? undefined : preparedStatements,
    },
  };
}
