import type { ClientBase, QueryConfig, QueryResultRow } from 'pg';
import type { DataSource } from 'typeorm';

/** In milliseconds. Nobody waits for the answer, so the limits on a callback's statements mean nothing here. */
const LIMIT = 300_000;

/**
 * Runs a statement in a transaction of its own that may take minutes, whatever the limits of the pool.
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
    // One for the server, one for the connection, which node-postgres's types do not have.
    const { rows } = await client.query<{ pid: number }>(
      `select pg_backend_pid() as pid, set_config('statement_timeout', '${LIMIT}', true)`,
    );
    const cancel = () => {
      // If it fails, the limit is left.
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
