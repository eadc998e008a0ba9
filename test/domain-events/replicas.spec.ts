import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DomainEventDispatcher } from '../../src/domain-events/domain-event-dispatcher.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { TestApplication } from '../support/application.js';
import { policyFailure, smsFor, untilAllIsDone } from '../support/fallbacks.js';
import { jobsOf, untilQueueIsEmpty, withDomainEventsOptions } from '../support/job-queue.js';
import { seedMessage } from '../support/seed.js';
import { createTestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';
import { ParcelListener, Parcels, ParcelsModule } from './parcels.js';

describe('domain events with several processes on one database', () => {
  let database: DatabaseConnection;
  let web: TestApplication;

  beforeAll(async () => {
    database = await createTestDatabase();
    web = await TestApplication.start({
      database,
      imports: [ParcelsModule],
      override: withDomainEventsOptions(database, { concurrency: 0 }),
    });
  });

  afterAll(async () => {
    await web.close();
    await database.close();
  });

  it('let a process with concurrency 0 only publish, with no worker that could be down', async () => {
    await web.app.get(Parcels).deliver('published only');
    const worker = await TestApplication.start({ database, imports: [ParcelsModule] });
    try {
      await untilQueueIsEmpty(worker);
      expect(worker.app.get(ParcelListener).delivered).toMatchObject([{ parcel: 'published only' }]);
      expect(web.app.get(ParcelListener).delivered).toEqual([]);
      expect(web.app.get(DomainEventDispatcher).state()).toBe('off');
    } finally {
      await worker.close();
    }
  });

  it('let another process take over the unfinished work of the first', async () => {
    const { twilioSid } = await seedMessage(web.dataSource);
    await policyFailure(web, twilioSid);
    expect(await jobsOf(web, 'whatsapp.policy_failed')).toHaveLength(1);
    const worker = await TestApplication.start({ database, imports: [ParcelsModule] });
    try {
      expect(await untilAllIsDone(worker, twilioSid)).toMatchObject({ state: 'sent' });
      expect(smsFor(worker, twilioSid)).toHaveLength(1);
    } finally {
      await worker.close();
    }
  });

  it('take a job that waits behind a slow one of another process', async () => {
    const start = () =>
      TestApplication.start({
        database,
        imports: [ParcelsModule],
        override: withDomainEventsOptions(database, { concurrency: 1 }),
      });
    const busy = await start();
    let finish: () => void = () => undefined;
    const finished = new Promise<void>((resolve) => (finish = resolve));
    const listener = busy.app.get(ParcelListener);
    listener.answers.push(() => finished);
    await web.app.get(Parcels).deliver('slow');
    await web.app.get(Parcels).deliver('waits behind it');
    await until('the slow one to be at work, and the other to be fetched', async () => {
      const jobs = await jobsOf(web, 'parcel.delivered');
      return jobs.length === 2 && jobs.every((job) => job.locked_at !== null);
    });
    const idle = await start();
    try {
      const taken = idle.app.get(ParcelListener).delivered;
      await until('the other process to take it', () => taken.length > 0);
      expect(taken).toMatchObject([{ parcel: 'waits behind it' }]);
      expect(listener.delivered).toMatchObject([{ parcel: 'slow' }]);
      finish();
      await untilQueueIsEmpty(web);
      expect(taken).toHaveLength(1);
    } finally {
      finish();
      await busy.close();
      await idle.close();
    }
  });

  it('free the job of a dead worker for another process at once, not after four hours', async () => {
    await web.app.get(Parcels).deliver('left locked');
    await web.query(
      `update whatsapp_sms_fallback_queue._private_jobs
          set locked_at = now() - interval '3 minutes', locked_by = 'worker-that-died', attempts = 1`,
    );
    const worker = await TestApplication.start({ database, imports: [ParcelsModule] });
    try {
      await untilQueueIsEmpty(worker);
      expect(worker.app.get(ParcelListener).delivered).toMatchObject([{ parcel: 'left locked' }]);
    } finally {
      await worker.close();
    }
  });
});
