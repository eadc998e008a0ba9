import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Agent, get } from 'node:http';
import { createServiceDatabase, type ServiceDatabase } from '../support/service-database.js';
import { endServices, ServiceProcess } from '../support/service-process.js';

const CONNECTIONS = 20;

/** The limits of src/process/express-server.ts would take the rest of docker's 10 s. */
const LIMIT_MILLISECONDS = 5_000;

/** Found by `npm run chaos`: Node's server stays open while the client of a connection always has one more request. */
describe('a stop by SIGTERM while a proxy keeps its connections busy', () => {
  let database: ServiceDatabase;
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });

  beforeAll(async () => {
    database = await createServiceDatabase();
    await database.use(() => Promise.resolve());
  });

  afterAll(async () => {
    agent.destroy();
    await endServices();
    await database.remove();
  });

  /** @returns false if the connection was refused or broken. */
  function request(url: string): Promise<boolean> {
    return new Promise((resolve) => {
      get(url, { agent }, (answer) => {
        answer.resume().once('end', () => {
          resolve(true);
        });
      }).once('error', () => {
        resolve(false);
      });
    });
  }

  it('ends at once', async () => {
    const service = await ServiceProcess.start(database.env);
    const url = `${service.origin}/health/ready`;
    const keepBusy = async (): Promise<void> => {
      while (await request(url));
    };
    const busy = Array.from({ length: CONNECTIONS }, keepBusy);
    await request(url);
    const startedAt = Date.now();
    service.signal('SIGTERM');
    expect(await service.ended).toEqual({ code: 0, signal: null });
    expect(Date.now() - startedAt).toBeLessThan(LIMIT_MILLISECONDS);
    await Promise.all(busy);
  });
});
