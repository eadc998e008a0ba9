import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { PostgresServer } from '../../harness/postgres-server.js';
import { postgresServer } from '../../src/database/database-connection.js';
import { migrateDatabase } from '../../src/database/migrate-database.js';
import { TestApplication } from '../support/application.js';
import { describeOnServer } from '../support/test-database.js';
import { until } from '../support/until.js';

jest.setTimeout(120_000);

/**
 * Reported: with a synchronous standby that does not answer, each COMMIT waits forever, despite statement_timeout.
 * All callbacks were answered 503, and /health/ready reported the database as up.
 */
describeOnServer('a service on a server whose commits hang', () => {
  let folder: string;
  let server: PostgresServer;
  let admin: Client;
  let application: TestApplication;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'whatsapp-sms-fallback-commits-hang-'));
    await chmod(folder, 0o755);
    server = await PostgresServer.start(join(folder, 'postgres'));
    await migrateDatabase(postgresServer(server.url));
    application = await TestApplication.start({ database: postgresServer(server.url) });
    admin = new Client(server.url);
    await admin.connect();
  });

  afterAll(async () => {
    await letCommitsHang(false);
    await application.close();
    await admin.end();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function letCommitsHang(hang: boolean): Promise<void> {
    await admin.query(`alter system set synchronous_standby_names = '${hang ? 'nobody' : ''}'`);
    await admin.query('select pg_reload_conf()');
  }

  async function ready(): Promise<{ status: number; body: Record<string, unknown> }> {
    const response = await fetch(`${application.origin}/health/ready`);
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }

  async function untilStatus(status: number): Promise<Record<string, unknown>> {
    return until(`readiness to be ${status}`, async () => {
      const answer = await ready();
      return answer.status === status && answer.body;
    });
  }

  async function hangingCommits(): Promise<number> {
    const { rows } = await admin.query<{ count: number }>(
      `select count(*)::int from pg_stat_activity where query like '%heartbeat%' and wait_event = 'SyncRep'`,
    );
    return rows[0]?.count ?? 0;
  }

  it('is not ready, however many ask, leaves no connection behind, and recovers by itself', async () => {
    await untilStatus(200);
    await letCommitsHang(true);
    expect(await untilStatus(503)).toMatchObject({
      database: 'down',
      reason: 'The database cannot be reached, or does not confirm a commit in time.',
    });
    for (let round = 0; round < 3; round += 1) {
      const asking = Promise.all(Array.from({ length: 20 }, () => ready()));
      expect(await hangingCommits()).toBeLessThanOrEqual(1);
      expect((await asking).map(({ status }) => status)).toEqual(Array(20).fill(503));
      expect(await hangingCommits()).toBeLessThanOrEqual(1);
    }
    await until('the last one to be cancelled', async () => (await hangingCommits()) === 0);
    await letCommitsHang(false);
    await untilStatus(200);
  });
});
