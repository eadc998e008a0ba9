import { Client, type ClientConfig, DatabaseError, Query, type QueryResult } from 'pg';

export interface ReliableClientConfig extends ClientConfig {
  /**
   * Names by the texts of statements that take parameters. Each is parsed and planned once for a connection, instead of
   * each time; not where it is given a callback, as `Pool.query` does. Not for a connection that shares its session.
   */
  readonly preparedStatements?: ReadonlyMap<string, string>;
}

/**
 * A connection that is given up when an answer does not come in time (`query_timeout`). node-postgres would use it
 * again, perhaps in the middle of a transaction whose ROLLBACK was never sent: what is written there is never committed.
 * It is given up as well when a prepared statement of it cannot be used any more: that would stay so.
 */
export class ReliableClient extends Client {
  private readonly preparedStatements: ReadonlyMap<unknown, string>;

  constructor(config?: string | ReliableClientConfig) {
    super(config);
    this.preparedStatements =
      (typeof config === 'object' ? config.preparedStatements : undefined) ?? new Map();
    // Between the pool, which hands it over, and TypeORM nobody listens, and its error would end the process.
    this.on('error', () => undefined);
  }

  override query: Client['query'] = (...parameters: unknown[]): never => {
    const query = super.query.bind(this) as (...parameters: unknown[]) => unknown;
    const name = parameters.length === 2 ? this.preparedStatements.get(parameters[0]) : undefined;
    const result =
      name === undefined
        ? query(...parameters)
        : queryPrepared(query, name, parameters as [string, unknown[]]);
    if (result instanceof Promise) {
      (result as Promise<QueryResult>).catch((error: unknown) => {
        // With a query under way, this closes the socket at once.
        if (isReadTimeout(error) || (name !== undefined && isLostStatement(error)))
          this.end().catch(() => undefined);
      });
    }
    return result as never;
  };
}

/** What `query({ name, text, values })` does, without the copy that it makes of that object: 15 µs. */
function queryPrepared(
  query: (query: Query) => unknown,
  name: string,
  [text, values]: [string, unknown[]],
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const callback = (error: Error | undefined, result: unknown) => {
      if (error) reject(error);
      else resolve(result);
    };
    query(Object.assign(new Query(text, values, callback), { name }));
  });
}

function isReadTimeout(error: unknown): boolean {
  return error instanceof Error && error.message === 'Query read timeout';
}

/** SQLSTATE: its name is not known (after DISCARD ALL), or its result has other columns (after a migration). */
const LOST_STATEMENT = ['26000', '0A000'];

function isLostStatement(error: unknown): boolean {
  return error instanceof DatabaseError && LOST_STATEMENT.includes(error.code ?? '');
}
