import { Client, type ClientConfig, type QueryResult } from 'pg';

/**
 * A connection that is given up when an answer does not come in time (`query_timeout`). node-postgres would use it
 * again, perhaps in the middle of a transaction whose ROLLBACK was never sent: what is written there is never committed.
 */
export class ReliableClient extends Client {
  constructor(config?: string | ClientConfig) {
    super(config);
    // Between the pool, which hands it over, and TypeORM nobody listens, and its error would end the process.
    this.on('error', () => undefined);
  }

  override query: Client['query'] = (...parameters: unknown[]): never => {
    const query = super.query.bind(this) as (...parameters: unknown[]) => unknown;
    const result = query(...parameters);
    if (result instanceof Promise) {
      (result as Promise<QueryResult>).catch((error: unknown) => {
        // With a query under way, this closes the socket at once.
        if (isReadTimeout(error)) this.end().catch(() => undefined);
      });
    }
    return result as never;
  };
}

function isReadTimeout(error: unknown): boolean {
  return error instanceof Error && error.message === 'Query read timeout';
}
