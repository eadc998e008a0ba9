import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServiceDatabase, type ServiceDatabase } from '../support/service-database.js';
import { endServices, ServiceProcess } from '../support/service-process.js';
import { until } from '../support/until.js';

/**
 * Files and variables that graphile-worker reads because of their place or name. Each would stop or misconfigure it.
 */
const FILES = {
  crontab: '17 * * * * root cd / && run-parts --report /etc/cron.hourly',
  '.graphile-workerrc.json': '{ "schema": ',
  'graphile-worker.config.js': `throw new Error('nobody asked for this file');`,
  'graphile.config.mjs': `throw new Error('nobody asked for this file');`,
  'package.json': JSON.stringify({ 'graphile-worker': { schema: 'another', concurrentJobs: 'many' } }),
};

const VARIABLES = {
  GRAPHILE_WORKER_SCHEMA: 'another',
  GRAPHILE_WORKER_DEBUG: '1',
  NO_LOG_SUCCESS: '1',
};

describe('a service next to files and variables that graphile-worker would read', () => {
  let database: ServiceDatabase;
  let folder: string;

  beforeAll(async () => {
    database = await createServiceDatabase();
    folder = await mkdtemp(join(tmpdir(), 'whatsapp-sms-fallback-surroundings-'));
  });

  afterAll(async () => {
    await endServices();
    await database.remove();
    await rm(folder, { recursive: true, force: true });
  });

  it.each(Object.entries(FILES))(
    'has a worker that works next to a file named %s',
    async (name, content) => {
      await writeFile(join(folder, name), content);
      const service = await ServiceProcess.start({ ...database.env, ...VARIABLES }, folder);
      await until(
        'the service to be ready',
        async () => {
          const { status } = await fetch(`${service.origin}/health/ready`);
          return status === 200;
        },
        40_000,
      );
      expect(service.messages).not.toContain('The job queue stopped and will be started again');
      await endServices();
      await rm(join(folder, name));
      const schemas = await database.use((dataSource) =>
        dataSource.query<unknown[]>(
          `select from pg_namespace where nspname in ('another', 'graphile_worker')`,
        ),
      );
      expect(schemas).toEqual([]);
    },
    120_000,
  );
});
