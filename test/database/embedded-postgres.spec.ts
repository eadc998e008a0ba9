import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Pool, type PoolClient } from 'pg';
import { EmbeddedPostgres } from '../../src/database/embedded-postgres.js';

describe('the embedded PostgreSQL', () => {
  let database: EmbeddedPostgres;
  let pool: Pool;

  beforeAll(async () => {
    database = await EmbeddedPostgres.start();
    pool = new Pool({ ...database.client, max: 10 });
  });

  afterAll(async () => {
    await pool.end();
    await database.close();
  });

  it('keeps the statements of concurrent connections apart', async () => {
    const echo = async (client: Pool | PoolClient, value: string) => {
      const { rows } = await client.query<{ echo: string }>('select $1::text as echo', [value]);
      return rows[0]?.echo;
    };
    const echoJson = async (client: Pool | PoolClient, value: string) => {
      const { rows } = await client.query<{ echo: string }>(`select $1::jsonb ->> 'value' as echo`, [
        { value },
      ]);
      return rows[0]?.echo;
    };
    const echoInTransaction = async (value: string) => {
      const client = await pool.connect();
      try {
        await client.query('begin');
        const answer = await echo(client, value);
        await client.query('commit');
        return answer;
      } finally {
        client.release();
      }
    };
    const values = Array.from({ length: 150 }, (_, index) => `value ${index}`);
    const answers = await Promise.all(
      values.map((value, index) =>
        index % 3 === 0
          ? echo(pool, value)
          : index % 3 === 1
            ? echoJson(pool, value)
            : echoInTransaction(value),
      ),
    );
    expect(answers).toEqual(values);
  });

  it('serves the other connections after one is cut off inside a transaction', async () => {
    const cutOff = await pool.connect();
    await cutOff.query('create table if not exists kept (value text)');
    await cutOff.query('begin');
    await cutOff.query('insert into kept values ($1)', ['lost']);
    cutOff.release(true);
    const { rows } = await pool.query('select * from kept');
    expect(rows).toEqual([]);
  });
});
