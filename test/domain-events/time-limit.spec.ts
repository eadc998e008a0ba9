import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { TestApplication } from '../support/application.js';
import { jobsOf, untilQueueIsEmpty, withDomainEventsOptions } from '../support/job-queue.js';
import { createTestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';
import { ParcelListener, Parcels, ParcelsModule, ParcelStatistics } from './parcels.js';

describe('a listener that takes longer than the time limit', () => {
  let database: DatabaseConnection;
  let application: TestApplication;

  beforeAll(async () => {
    database = await createTestDatabase();
    application = await TestApplication.start({
      database,
      imports: [ParcelsModule],
      override: withDomainEventsOptions(database, { timeLimitMilliseconds: 3_000 }),
    });
  });

  afterAll(async () => {
    await application.close();
    await database.close();
  });

  it('gets the event again, and the queue says why', async () => {
    const listener = application.app.get(ParcelListener);
    listener.answers.push(() => new Promise(() => undefined));
    const event = await application.app.get(Parcels).deliver('slow');
    const job = await until('the time limit', async () => {
      const [delivery] = await jobsOf(application, 'parcel.delivered');
      return delivery?.locked_at === null && delivery.last_error !== null && delivery;
    });
    expect(job.last_error).toContain('The listeners of parcel.delivered took longer than 3000 ms');
    await untilQueueIsEmpty(application);
    expect(listener.delivered).toEqual([event, event]);
    expect(application.app.get(ParcelStatistics).delivered).toEqual([event]);
  });
});
