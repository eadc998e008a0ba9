import { Logger } from '@nestjs/common';
import { DatabaseError } from 'pg';
import { DataSource, type DataSourceOptions } from 'typeorm';
import type { Env } from '../config/env.js';
import { hasApplicationTables } from '../messages/application-tables.js';
import { StartupError } from '../process/startup-error.js';
import { clientOptions } from './data-source-options.js';
import { type DatabaseConnection, postgresServer } from './database-connection.js';
import type { EmbeddedPostgresOptions } from './embedded-postgres.js';
import { assertMigrated } from './migrate-database.js';
import { assertServer, type Problem, type Query, rowProblems, type Session } from './preconditions.js';
import { ReadOnlyServerError, WritableClient } from './writable-client.js';

const TLS_DOCUMENTATION = 'docs/deploying.md#tls-to-the-database';

const TRUST_AUTHORITY =
  'Name the certificate of the authority that has signed it: sslmode=verify-full&sslrootcert=/path/to/ca.pem in DATABASE_URL';

/** Certificate errors of OpenSSL and Node, and what the operator can do. Source: Node's documentation of tls. */
const CERTIFICATE_PROBLEMS: Readonly<Record<string, readonly [found: string, remedy: string]>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: [
    'is self-signed',
    'Trust it by itself: sslmode=verify-full&sslrootcert=/path/to/server.crt in DATABASE_URL',
  ],
  SELF_SIGNED_CERT_IN_CHAIN: ['is signed by an authority that is not known here', TRUST_AUTHORITY],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ['is signed by an authority that is not known here', TRUST_AUTHORITY],
  UNABLE_TO_GET_ISSUER_CERT: ['is signed by an authority that is not known here', TRUST_AUTHORITY],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ['is signed by an authority that is not known here', TRUST_AUTHORITY],
  CERT_SIGNATURE_FAILURE: ['is not signed by the authority of sslrootcert', TRUST_AUTHORITY],
  CERT_HAS_EXPIRED: ['has expired', 'Renew it on the server'],
  CERT_NOT_YET_VALID: ['is not valid yet', "Set the clock of this machine, or the server's"],
  CERT_REVOKED: ['was revoked', 'Renew it on the server'],
  ERR_TLS_CERT_ALTNAME_INVALID: [
    'is for another host name',
    'Use a name of the certificate as the host of DATABASE_URL, or add uselibpqcompat=true&sslmode=verify-ca, which takes any name of a certificate that the authority of sslrootcert has signed',
  ],
};

/** Explains why no connection could be made, and what to do about it. */
export function explainConnectionError(error: unknown): string {
  // If a name has several addresses, the attempts fail as one AggregateError with an empty message.
  const cause = isAggregate(error) ? error.errors[0] : error;
  if (cause instanceof DatabaseError) return refusedByServer(cause);
  if (cause instanceof ReadOnlyServerError) {
    const remedy = cause.isStandby
      ? 'Name the primary in DATABASE_URL, or promote this one'
      : 'Name the server that takes writes in DATABASE_URL, or let this one: set default_transaction_read_only = off there';
    return `${cause.message}. ${remedy}.`;
  }
  const message = textOf(cause, 'message') ?? String(cause);
  return (
    tlsProblem(textOf(cause, 'code') ?? '', message.trim()) ??
    `The database cannot be reached: ${message}. Is it running, and is DATABASE_URL right?`
  );
}

function refusedByServer({ code, message }: DatabaseError): string {
  // admin_shutdown, crash_shutdown, cannot_connect_now
  if (/^57P0[123]$/.test(code ?? '')) {
    return `The database cannot be reached now: ${message}. Start again once it takes connections.`;
  }
  const refused = `The database refuses DATABASE_URL: ${message}`;
  if (/valid client certificate/.test(message)) return `${refused}. ${CLIENT_CERTIFICATE}`;
  if (/no encryption|SSL off|SSL required|SSL.* is required/i.test(message)) {
    return `${refused}. It wants TLS: add sslmode=verify-full to DATABASE_URL, and sslrootcert=/path/to/ca.pem if its authority is a private one. See ${TLS_DOCUMENTATION}.`;
  }
  return refused;
}

const CLIENT_CERTIFICATE = `The server wants a certificate of the client, by an authority that it knows (ssl_ca_file): add sslcert=/path/to/client.crt&sslkey=/path/to/client.key to DATABASE_URL. See ${TLS_DOCUMENTATION}.`;

function tlsProblem(code: string, message: string): string | undefined {
  const certificate = CERTIFICATE_PROBLEMS[code];
  if (certificate !== undefined) {
    const [found, remedy] = certificate;
    return `The database's TLS certificate ${found} (${code}: ${message}). ${remedy}. See ${TLS_DOCUMENTATION}.`;
  }
  if (message === 'The server does not support SSL connections') {
    return `The database has no TLS (${message}). Switch it on there (ssl = on), or say that none is wanted: sslmode=disable in DATABASE_URL. See ${TLS_DOCUMENTATION}.`;
  }
  if (/CERTIFICATE_REQUIRED|ALERT_UNKNOWN_CA|ALERT_BAD_CERTIFICATE|HANDSHAKE_FAILURE/.test(code)) {
    return `The database refuses the TLS connection (${code}: ${message}). ${CLIENT_CERTIFICATE}`;
  }
  if (/^(ENOENT|EACCES|EISDIR)$/.test(code) && /open|read/.test(message)) {
    return `A file of DATABASE_URL (sslrootcert, sslcert or sslkey) cannot be read: ${message}. Give its path as the service sees it, in a container too.`;
  }
  if (/^(ERR_SSL_|ERR_OSSL_|ERR_TLS_|EPROTO)/.test(code) || /SSL|sslmode|sslnegotiation/.test(message)) {
    return `The TLS connection to the database failed (${[code, message].filter(Boolean).join(': ')}). See ${TLS_DOCUMENTATION}.`;
  }
  return undefined;
}

function isAggregate(error: unknown): error is { readonly errors: readonly unknown[] } {
  return typeof error === 'object' && error !== null && 'errors' in error && Array.isArray(error.errors);
}

/** Reads a property without `instanceof`: Node's own errors may come from another realm. */
function textOf(error: unknown, property: 'code' | 'message'): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const value: unknown = (error as Readonly<Record<string, unknown>>)[property];
  return typeof value === 'string' ? value : undefined;
}

/** Which database it is, and where in it. */
export type DatabaseVariables = Pick<Env, 'DATABASE_URL' | 'EMBEDDED_DATA_DIR'> &
  Partial<Pick<Env, 'DATABASE_SCHEMA' | 'ORIGINAL_MESSAGES'>>;

const CONNECT_LIMIT_MILLISECONDS = 4_000;
const ANSWER_LIMIT_MILLISECONDS = 5_000;

/**
 * Opens the PostgreSQL server of `DATABASE_URL`, or the embedded one if that is not set.
 * @throws StartupError when it cannot be used, with the reason.
 */
export async function openDatabase(env: DatabaseVariables): Promise<DatabaseConnection> {
  const { DATABASE_SCHEMA: schema } = env;
  const applicationTables = env.ORIGINAL_MESSAGES !== 'twilio';
  if (env.DATABASE_URL === undefined) {
    return openEmbedded({ dataDir: env.EMBEDDED_DATA_DIR, applicationTables });
  }
  const connection = postgresServer(env.DATABASE_URL, { schema, applicationTables });
  await assertUsable(connection, env.DATABASE_URL);
  return connection;
}

/** Loads PGlite only now: an application with a server of its own may leave it out. */
async function openEmbedded(options: EmbeddedPostgresOptions): Promise<DatabaseConnection> {
  try {
    const { EmbeddedPostgres } = await import('./embedded-postgres.js');
    return await EmbeddedPostgres.start(options);
  } catch (error) {
    if (!isMissingModule(error)) throw error;
    throw new StartupError(
      'Without a PostgreSQL server (DATABASE_URL, databaseUrl), the embedded one is needed, and it is not installed.\n' +
        'Run: npm install @electric-sql/pglite @electric-sql/pglite-socket',
      { cause: error },
    );
  }
}

function isMissingModule(error: unknown): boolean {
  return (
    textOf(error, 'code') === 'ERR_MODULE_NOT_FOUND' && /@electric-sql\//.test(textOf(error, 'message') ?? '')
  );
}

/** Reports problems of DATABASE_URL and of its server to the operator before anything else fails. */
async function assertUsable(connection: DatabaseConnection, url: string): Promise<void> {
  const connect = () => openSession(connection);
  let session: Session | undefined;
  try {
    session = await connect();
    await assertServer({ ...session, url, connect });
  } catch (error) {
    if (error instanceof StartupError) throw error;
    throw new StartupError(explainConnectionError(error), { cause: error });
  } finally {
    session?.end();
  }
}

/** Opens a connection like the service's own, outside of any pool. */
async function openSession(connection: DatabaseConnection): Promise<Session> {
  const client = new WritableClient({
    ...clientOptions(connection),
    connectionTimeoutMillis: CONNECT_LIMIT_MILLISECONDS,
    query_timeout: ANSWER_LIMIT_MILLISECONDS,
  });
  const end = () => {
    client.end().catch(() => undefined);
  };
  try {
    await client.connect();
  } catch (error) {
    end();
    throw error;
  }
  return {
    query: async <Row extends object>(sql: string, parameters?: unknown[]) =>
      (await client.query<Row>(sql, parameters)).rows,
    end,
  };
}

/** TypeOrmModule's `dataSourceFactory`. @throws StartupError when a migration is missing. */
export async function openMigrated(options?: DataSourceOptions): Promise<DataSource> {
  if (options === undefined) throw new TypeError('TypeORM was given no options');
  const dataSource = await new DataSource(options).initialize();
  try {
    await assertMigrated(dataSource);
    return dataSource;
  } catch (error) {
    await dataSource.destroy();
    throw error;
  }
}

/**
 * TypeOrmModule's `dataSourceFactory` for the service. If the application's tables refuse its rows, it logs that and
 * starts anyway, because the log and the SMS do not depend on them.
 * @throws StartupError when a migration is missing.
 */
export async function openForService(options?: DataSourceOptions): Promise<DataSource> {
  const dataSource = await openMigrated(options);
  const logger = new Logger('Database');
  try {
    for (const { found, remedy } of await rowProblemsWith(dataSource)) {
      logger.warn('The tables of the application refuse what the service does with them', { found, remedy });
    }
  } catch (error) {
    logger.debug('The tables of the application could not be tried', { error: String(error) });
  }
  return dataSource;
}

/** Finds what the application's tables refuse; nothing if they are not used. */
export async function rowProblemsWith(dataSource: DataSource): Promise<Problem[]> {
  if (!hasApplicationTables(dataSource)) return [];
  const runner = dataSource.createQueryRunner();
  try {
    const query: Query = <Row>(sql: string, parameters?: unknown[]) =>
      runner.query(sql, parameters) as Promise<Row[]>;
    return await rowProblems(query);
  } finally {
    await runner.release();
  }
}
