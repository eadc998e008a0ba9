import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { Pool, type QueryConfig } from 'pg';
import { setTimeout as delay } from 'node:timers/promises';
import { ReliableClient, type ReliableClientConfig } from '../../src/database/reliable-client.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { createEmptyDatabase, describeOnServer } from '../support/test-database.js';

const PREPARED = 'select doubled from double($1)';

// The embedded database has one session for all connections.
describeOnServer('a reliable connection', () => {
  let database: DatabaseConnection;
  let pool: Pool;

  beforeAll(async () => {
    database = await createEmptyDatabase();
  });

  function reliablePool(limits: ReliableClientConfig = {}): Pool {
    const preparedStatements = new Map([[PREPARED, 'double']]);
    // pg-pool passes unknown settings to the client.
    return new Pool({
      ...{ ...database.client, ...limits, Client: ReliableClient, max: 1, preparedStatements },
    });
  }

  beforeEach(async () => {
    pool = reliablePool();
    await pool.query(
      `create function double(number integer, out doubled integer) language plpgsql as
         $$ begin doubled := 2 * number; end $$`,
    );
  });

  afterEach(async () => {
    await pool.query('drop function double(integer)');
    await pool.end();
  });

  afterAll(async () => {
    await database.close();
  });

  /** Queries like TypeORM, and not like `Pool.query`, which drops a connection after any error. */
  async function query<Row extends object>(text: string | QueryConfig, values?: unknown[]): Promise<Row[]> {
    const client = await pool.connect();
    try {
      return (await client.query<Row>(text, values)).rows;
    } finally {
      client.release();
    }
  }

  /** A statement with its own limit in milliseconds, which node-postgres's types lack. */
  function limited(text: string, milliseconds: number): QueryConfig {
    const statement: QueryConfig & { query_timeout: number } = { text, query_timeout: milliseconds };
    return statement;
  }

  async function doubled(number: unknown): Promise<unknown[]> {
    return (await query<{ doubled: unknown }>(PREPARED, [number])).map((row) => row.doubled);
  }

  async function session(): Promise<number | undefined> {
    const [row] = await query<{ pid: number }>('select pg_backend_pid() as pid');
    return row?.pid;
  }

  it('prepares each named statement once, and no other', async () => {
    expect([await doubled(1), await doubled(2), await doubled(3)]).toEqual([[2], [4], [6]]);
    await query('select $1::text', ['another']);
    const prepared = await query(
      'select name, statement, generic_plans + custom_plans as uses from pg_prepared_statements',
    );
    expect(prepared).toEqual([{ name: 'double', statement: PREPARED, uses: '3' }]);
  });

  it('reports an error in a prepared statement, and goes on', async () => {
    const before = await session();
    await expect(doubled('three')).rejects.toMatchObject({ code: '22P02' });
    expect(await doubled(3)).toEqual([6]);
    expect(await session()).toBe(before);
  });

  const CHANGES = [
    ['is not known any more', 'deallocate all', [4]],
    [
      'has other columns now',
      `drop function double(integer);
       create function double(number integer, out doubled text) language sql as $$ select (2 * number)::text $$`,
      ['4'],
    ],
  ] as const;

  it.each(CHANGES)('runs without it if a prepared statement %s', async (_, change, answer) => {
    expect(await doubled(1)).toEqual([2]);
    await query(change);
    expect([await doubled(2), await doubled(2)]).toEqual([answer, answer]);
  });

  it.each(CHANGES)('fails once in a transaction if a prepared statement %s', async (_, change, answer) => {
    expect(await doubled(1)).toEqual([2]);
    await query(change);
    await query('begin');
    await expect(doubled(2)).rejects.toThrow(/prepared statement|cached plan/);
    await query('rollback');
    await query('begin');
    expect(await doubled(2)).toEqual(answer);
    await query('commit');
  });

  it('runs without a prepared statement if its name is taken', async () => {
    await query('prepare double as select 1');
    expect([await doubled(1), await doubled(2)]).toEqual([[2], [4]]);
  });

  it('leaves a query with a callback as it is', async () => {
    await pool.query(PREPARED, [1]);
    expect(await query('select name from pg_prepared_statements')).toEqual([]);
  });

  describe('with a limit for its answers', () => {
    beforeEach(async () => {
      await pool.end();
      pool = reliablePool({ query_timeout: 1_000 });
    });

    // The cleanup after each test can take longer.
    afterEach(async () => {
      await pool.end();
      pool = reliablePool();
    });

    it('gives up if an answer does not come in time', async () => {
      const before = await session();
      await expect(query('select pg_sleep(4)')).rejects.toThrow('Query read timeout');
      expect(await session()).not.toBe(before);
    });

    it('gives up during its first statement', async () => {
      await expect(query('select pg_sleep(4)')).rejects.toThrow('Query read timeout');
    });

    it('gives up during a statement with a callback', async () => {
      await pool.query('select 1');
      await expect(pool.query('select pg_sleep(4)')).rejects.toThrow('Query read timeout');
    });

    it('gives up during a repeated statement', async () => {
      expect(await doubled(1)).toEqual([2]);
      await query(
        `drop function double(integer);
         create function double(number integer, out doubled text) language plpgsql as
           $$ begin perform pg_sleep(4); end $$`,
      );
      await expect(doubled(2)).rejects.toThrow('Query read timeout');
    });

    it('is not reused after it gives up inside a transaction', async () => {
      await query('create table kept (id integer)');
      await query('begin');
      await query('insert into kept values (1)');
      await expect(query('select pg_sleep(4)')).rejects.toThrow('Query read timeout');
      expect(await query('select id from kept')).toEqual([]);
    });

    it('gives up after the limit of its URL', async () => {
      await pool.end();
      const url = new URL(database.client.connectionString ?? '');
      url.searchParams.set('query_timeout', '1000');
      pool = reliablePool({ query_timeout: 60_000, connectionString: url.toString() });
      const before = await session();
      await expect(query('select pg_sleep(4)')).rejects.toThrow('Query read timeout');
      expect(await session()).not.toBe(before);
    });

    it('waits longer for a statement with its own limit, and not for the next one', async () => {
      const before = await session();
      await query(limited('select pg_sleep(2)', 20_000));
      expect(await session()).toBe(before);
      await expect(query('select pg_sleep(4)')).rejects.toThrow('Query read timeout');
    });

    it('gives up after the limit of a statement', async () => {
      const before = await session();
      await expect(query(limited('select pg_sleep(4)', 100))).rejects.toThrow('Query read timeout');
      expect(await session()).not.toBe(before);
    });

    it('stays open while it waits for no answer', async () => {
      const before = await session();
      await delay(2_000);
      expect(await session()).toBe(before);
    });
  });
});
