import type { PGlite } from '@electric-sql/pglite';

/** Messages of the extended query protocol that leave the pipeline open until Sync. Source: PostgreSQL, chapter 54. */
const OPENS_PIPELINE: ReadonlySet<number> = new Set(Buffer.from('PBDECH'));

/**
 * Wraps PGlite for its socket server. The server lets connections take turns by protocol message, except in a
 * transaction, so that one connection's Bind could meet another one's Parse: both use the session's unnamed statement.
 * Here a pipeline counts as a transaction from its first message to its Sync.
 * https://github.com/electric-sql/pglite/issues/1046
 */
export function withWholePipelines(database: PGlite): PGlite {
  let pipelineIsOpen = false;
  const overrides: Partial<PGlite> = {
    isInTransaction: () => pipelineIsOpen || database.isInTransaction(),
    execProtocolRawStream: async (message, options) => {
      await database.execProtocolRawStream(message, options);
      pipelineIsOpen = OPENS_PIPELINE.has(message[0] ?? 0);
    },
    // The server calls this to end what a broken connection left open.
    exec: async (query, options) => {
      pipelineIsOpen = false;
      return database.exec(query, options);
    },
  };
  return new Proxy(database, {
    get: (target, name) => {
      const value: unknown = Reflect.get(name in overrides ? overrides : target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
