import type { ClientBase, QueryConfig, QueryResultRow } from 'pg';
import type { DataSource } from 'typeorm';

/** In milliseconds. No callback waits for the answer, so the limits of its statements do not apply here. */
const LIMIT = 300_000;

/**
 * Runs a statement that may take minutes in its own transaction, regardless of the pool's limits.
 * @param signal cancels it, in the database too.
 */
export async function queryPatiently<Row extends QueryResultRow>(
  dataSource: DataSource,
  text: string,
  values: readonly unknown[],
  signal: AbortSignal,
): Promise<Row[]> {
  return dataSource.transaction(async ({ queryRunner }) => {
    if (queryRunner === undefined) throw new TypeError('A transaction has its query runner');
    const client = (await queryRunner.connect()) as ClientBase;
    // Both limits: the server's and the connection's, which node-postgres's types lack.
    const { rows } = await client.query<{ pid: number }>(
      `select pg_backend_pid() as pid, set_config('statement_timeout', '${LIMIT}', true)`,
    );
    const cancel = () => {
      // If cancelling fails, the limit still ends the statement.
      dataSource.query('select pg_cancel_backend($1)', [rows[0]?.pid]).catch(() => undefined);
    };
    const query: QueryConfig & { query_timeout: number } = {
      text,
      values: [...values],
      query_timeout: LIMIT,
    };
    signal.addEventListener('abort', cancel, { once: true });
    try {
      signal.throwIfAborted();
      return (await client.query<Row>(query)).rows;
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  });
}
