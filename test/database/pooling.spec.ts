import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { openDatabase } from '../../src/database/open-database.js';
import { PreconditionError } from '../../src/database/preconditions.js';
import { PgBouncer, type PgBouncerSettings, withoutPgBouncer } from '../support/pgbouncer.js';
import { createTestDatabase } from '../support/test-database.js';

const describeWithPgBouncer = withoutPgBouncer === undefined ? describe : describe.skip;

describeWithPgBouncer(`a pooler in front of PostgreSQL (${withoutPgBouncer ?? 'PgBouncer'})`, () => {
  let database: DatabaseConnection;
  let pooler: PgBouncer | undefined;
  const clients: Client[] = [];

  beforeAll(async () => {
    database = await createTestDatabase();
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) await client.end();
    await pooler?.close();
  });

  afterAll(async () => {
    await database.close();
  });

  async function start(settings: PgBouncerSettings): Promise<PgBouncer> {
    pooler = await PgBouncer.start(database.client.connectionString ?? '', settings);
    return pooler;
  }

  async function open({ url }: PgBouncer): Promise<unknown> {
    return openDatabase({ DATABASE_URL: url, EMBEDDED_DATA_DIR: '' }).catch((error: unknown) => error);
  }

  /** Other clients that hold sessions, or have used them before and left them idle in the pool. */
  async function others(count: number, statement: string): Promise<void> {
    if (pooler === undefined) throw new Error('It is not started');
    const opened = Array.from({ length: count }, () => new Client({ connectionString: pooler?.url }));
    clients.push(...opened);
    await Promise.all(opened.map((client) => client.connect()));
    await Promise.all(opened.map((client) => client.query(statement)));
  }

  it.each([1, 2, 20])('is refused in transaction mode with a pool of %i', async (size) => {
    const error = await open(await start({ pool_mode: 'transaction', default_pool_size: size }));
    expect(error).toBeInstanceOf(PreconditionError);
    expect(error).toMatchObject({
      message: expect.stringMatching(/shares sessions by transaction.*\n.*pool_mode = session/) as unknown,
      problems: [{ check: 'pooling' }],
    });
  });

  it.each([0, 1])(
    'is refused in transaction mode with a warm pool, and server_round_robin = %i',
    async (roundRobin) => {
      await start({
        pool_mode: 'transaction',
        default_pool_size: 20,
        server_round_robin: roundRobin,
      });
      // Each takes its own session, and then all of them are idle.
      await others(8, 'select pg_sleep(0.3)');
      expect(await open(pooler as PgBouncer)).toBeInstanceOf(PreconditionError);
    },
  );

  it('is refused in transaction mode that resets each session', async () => {
    const settings = { pool_mode: 'transaction', server_reset_query_always: 1, default_pool_size: 5 };
    expect(await open(await start(settings))).toBeInstanceOf(PreconditionError);
  });

  it('is refused in statement mode', async () => {
    const error = await open(await start({ pool_mode: 'statement', default_pool_size: 5 }));
    expect(error).toMatchObject({ problems: [{ check: 'pooling' }] });
  });

  it.each([1, 2, 20])('is accepted in session mode with a pool of %i', async (size) => {
    const connection = await open(await start({ pool_mode: 'session', default_pool_size: size }));
    expect(connection).toMatchObject({ embedded: false });
  });

  it('is accepted in session mode that resets nothing, if the mark of an earlier start is left', async () => {
    const settings = { pool_mode: 'session', server_reset_query: '', default_pool_size: 5 };
    await start(settings);
    for (let times = 0; times < 3; times += 1) {
      expect(await open(pooler as PgBouncer)).toMatchObject({ embedded: false });
    }
  });

  it('is optional', async () => {
    const env = { DATABASE_URL: database.client.connectionString, EMBEDDED_DATA_DIR: '' };
    expect(await openDatabase(env)).toMatchObject({ embedded: false });
  });
});
