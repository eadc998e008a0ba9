import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FaultInjector } from '../../chaos/fault-injector.js';
import type { ScheduledFault } from '../../chaos/fault-schedule.js';
import type { World } from '../../chaos/world.js';
import { PostgresServer } from '../../harness/postgres-server.js';
import { describeWithOwnServer } from '../support/own-postgres.js';

describeWithOwnServer('the fault injector', () => {
  let folder: string;
  let postgres: PostgresServer;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'whatsapp-sms-fallback-faults-'));
    // PostgreSQL runs as another user.
    await chmod(folder, 0o755);
    postgres = await PostgresServer.start(join(folder, 'postgres'));
  });

  afterAll(async () => {
    await postgres.close();
    await rm(folder, { recursive: true, force: true });
  });

  function stopPostgres(at: number, duration: number): ScheduledFault {
    return { at, kind: 'stop_postgres', replica: null, duration, requests: 1 };
  }

  function injector(...faults: ScheduledFault[]): FaultInjector {
    const { signal } = new AbortController();
    return new FaultInjector({} as World, postgres, faults, signal, () => undefined);
  }

  it('keeps PostgreSQL running until it has recovered from the previous fault', async () => {
    const faults = injector(stopPostgres(0, 1_000), stopPostgres(1, 0));
    await faults.run();
    expect(faults.counts.get('stop_postgres')).toEqual({ planned: 2, done: 1 });
    expect(postgres.isAway).toBe(false);
  });

  it('says why it could not undo a fault, and begins no other', async () => {
    await rm(join(folder, 'postgres/cluster/postgresql.conf'));
    const faults = injector(stopPostgres(0, 0), stopPostgres(600_000, 0));
    await expect(faults.run()).rejects.toThrow(/^A fault could not be undone: .*could not start server/s);
    expect(faults.counts.get('stop_postgres')).toMatchObject({ planned: 1 });
  });
});
