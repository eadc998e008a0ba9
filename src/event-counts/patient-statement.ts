import type { ClientBase, QueryConfig, QueryResultRow } from 'pg';
import type { DataSource } from 'typeorm';

/** In milliseconds. Nobody waits for the answer, so the limits on a callback's statements mean nothing here. */
const LIMIT = 300_000;

/** Runs a statement in a transaction of its own that may take minutes, whatever the limits of the pool. */
export async function queryPatiently<Row extends QueryResultRow>(
  dataSource: DataSource,
  text: string,
  values: readonly unknown[],
): Promise<Row[]> {
  return dataSource.transaction(async ({ queryRunner }) => {
    if (queryRunner === undefined) throw new TypeError('A transaction has its query runner');
    const client = (await queryRunner.connect()) as ClientBase;
    // One for the server, one for node-postgres, which its types do not have.
    await client.query(`set local statement_timeout = ${LIMIT}`);
    const query: QueryConfig & { query_timeout: number } = {
      text,
      values: [...values],
      query_timeout: LIMIT,
    };
    return (await client.query<Row>(query)).rows;
  });
}
