import type { PoolConfig } from 'pg';

/** The address of PostgreSQL, as node-postgres takes it. */
export interface DatabaseConnection {
  /** Address and credentials, without any pool setting. */
  readonly client: Pick<PoolConfig, 'connectionString' | 'host' | 'port' | 'user' | 'database'>;
  /** True for the embedded PGlite: one process, one transaction at a time, no prepared statements. */
  readonly embedded: boolean;
  close(): Promise<void>;
}

/** A PostgreSQL server at a `postgresql://` URL. It belongs to the operator, so the service never stops it. */
export function postgresServer(url: string): DatabaseConnection {
  return { client: { connectionString: url }, embedded: false, close: () => Promise.resolve() };
}
