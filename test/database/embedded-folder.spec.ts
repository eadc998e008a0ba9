import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { EmbeddedPostgres } from '../../src/database/embedded-postgres.js';

describe('the embedded PostgreSQL in a folder', () => {
  let folder: string;
  let dataDir: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'whatsapp-sms-fallback-data-'));
    dataDir = join(folder, 'not', 'there', 'yet');
  });

  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  async function query<Row extends object>(database: EmbeddedPostgres, sql: string): Promise<Row[]> {
    const client = new Client(database.client);
    await client.connect();
    const { rows } = await client.query<Row>(sql);
    await client.end();
    return rows;
  }

  it('keeps its data after a restart', async () => {
    const first = await EmbeddedPostgres.start({ dataDir });
    await query(first, `create table kept as select 'a value' as value`);
    await first.close();
    const second = await EmbeddedPostgres.start({ dataDir });
    expect(await query(second, 'select * from kept')).toEqual([{ value: 'a value' }]);
    await second.close();
  });

  it('admits no other user, because PGlite makes its files readable by all', async () => {
    const database = await EmbeddedPostgres.start({ dataDir });
    const modes = await Promise.all([dataDir, database.client.host ?? ''].map((path) => stat(path)));
    expect(modes.map(({ mode }) => mode & 0o777)).toEqual([0o700, 0o700]);
    await database.close();
  });

  it('opens once if it is started twice at the same time, and again once it is closed', async () => {
    const started = await Promise.allSettled([1, 2, 3].map(() => EmbeddedPostgres.start({ dataDir })));
    const opened = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const refused = started.flatMap((result) =>
      result.status === 'rejected' ? [result.reason as unknown] : [],
    );
    expect(opened).toHaveLength(1);
    expect(refused).toHaveLength(2);
    for (const error of refused) {
      expect(error).toMatchObject({ name: 'StartupError' });
      expect(String(error)).toContain(
        `The embedded database in ${dataDir} is in use by another process.\nStop that process, name another folder in EMBEDDED_DATA_DIR, or set DATABASE_URL`,
      );
    }
    for (const database of opened) await database.close();
    await (await EmbeddedPostgres.start({ dataDir })).close();
  });
});
