import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { DomainEventDispatcher } from '../../src/domain-events/domain-event-dispatcher.js';
import { TestApplication } from '../support/application.js';
import { untilQueueIsEmpty, withDomainEventsOptions } from '../support/job-queue.js';
import { createTestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';
import { ParcelListener, Parcels, ParcelsModule } from './parcels.js';

describe('a shutdown', () => {
  let database: DatabaseConnection;
  let application: TestApplication;
  let listener: ParcelListener;
  /** Resolves once the dispatcher stops accepting events. */
  let untilStopped: () => Promise<unknown>;

  beforeAll(async () => {
    database = await createTestDatabase();
  });

  beforeEach(async () => {
    application = await TestApplication.start({
      database,
      imports: [ParcelsModule],
      override: withDomainEventsOptions(database, { shutdownTimeoutMilliseconds: 1_000 }),
    });
    listener = application.app.get(ParcelListener);
    const stop = jest.spyOn(application.app.get(DomainEventDispatcher), 'beforeApplicationShutdown');
    untilStopped = () => until('the shutdown to begin', () => stop.mock.calls.length > 0);
  });

  afterAll(() => database.close());

  async function startWork(parcel: string, work: () => Promise<void>): Promise<void> {
    listener.answers.push(work);
    await application.app.get(Parcels).deliver(parcel);
    await until('the listener to be at work', () => listener.delivered.length > 0);
  }

  it('waits for a listener at work, which still has the database, and then closes', async () => {
    const order: string[] = [];
    await startWork('finished', async () => {
      await untilStopped();
      await application.query('select pg_sleep(0.3)');
      order.push('the listener has ended');
    });
    await application.close();
    order.push('the application is closed');
    expect(order).toEqual(['the listener has ended', 'the application is closed']);
    const another = await TestApplication.start({ database, imports: [ParcelsModule] });
    try {
      await untilQueueIsEmpty(another);
      expect(another.app.get(ParcelListener).delivered).toEqual([]);
    } finally {
      await another.close();
    }
  });

  it('neither loses nor repeats an event that is published meanwhile', async () => {
    await startWork('the last one', async () => {
      await untilStopped();
      await application.app.get(Parcels).deliver('published meanwhile');
    });
    await application.close();
    const another = await TestApplication.start({ database, imports: [ParcelsModule] });
    try {
      await untilQueueIsEmpty(another);
      // A running look for events may still have found it. Otherwise another process gets it.
      const delivered = [...listener.delivered, ...another.app.get(ParcelListener).delivered];
      expect(delivered).toMatchObject([{ parcel: 'the last one' }, { parcel: 'published meanwhile' }]);
    } finally {
      await another.close();
    }
  });

  it('has a limit: it gives back an unfinished job, and another process does it', async () => {
    let end: () => void = () => undefined;
    await startWork('never finished', () => new Promise<void>((resolve) => (end = resolve)));
    await application.close();
    const another = await TestApplication.start({ database, imports: [ParcelsModule] });
    try {
      await untilQueueIsEmpty(another);
      expect(another.app.get(ParcelListener).delivered).toMatchObject([{ parcel: 'never finished' }]);
    } finally {
      end();
      await another.close();
    }
  });
});
