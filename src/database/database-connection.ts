import type { PoolConfig } from 'pg';
import { JOB_QUEUE_SCHEMA } from '../domain-events/domain-events.js';

/** The address of PostgreSQL, as node-postgres takes it. */
export interface DatabaseConnection {
  /** Address and credentials, without any pool setting. */
  readonly client: Pick<PoolConfig, 'connectionString' | 'host' | 'port' | 'user' | 'database'>;
  /** True for the embedded PGlite: one process, one transaction at a time, no prepared statements. */
  readonly embedded: boolean;
  /** The schema of the service's tables; undefined: the first one of the role's search_path. */
  readonly schema?: string | undefined;
  /** False: the tables messages, conversations, and companies are not used, whether they exist or not. Default true. */
  readonly applicationTables?: boolean | undefined;
  close(): Promise<void>;
}

/** A PostgreSQL server at a `postgresql://` URL. It belongs to the operator, so the service never stops it. */
export function postgresServer(
  url: string,
  options: Pick<DatabaseConnection, 'schema' | 'applicationTables'> = {},
): DatabaseConnection {
  return { ...options, client: { connectionString: url }, embedded: false, close: () => Promise.resolve() };
}

/** The schema of the job queue. Services with tables in schemas of their own have queues of their own. */
export function queueSchemaOf(schema: string | undefined): string {
  return schema === undefined ? JOB_QUEUE_SCHEMA : `${schema}_queue`;
}
