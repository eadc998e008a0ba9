import { afterAll, beforeAll, describe, it } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import { ParcelListener, Parcels, ParcelsModule } from '../domain-events/parcels.js';
import { TestApplication } from '../support/application.js';
import { until } from '../support/until.js';

/**
 * Found by `npm run chaos`: when the database goes away while several jobs fail, graphile-worker 0.17.3 miscounts its
 * unfinished writes, begins to shut down, and never ends. The process stayed up and delivered nothing more.
 */
describe('a job queue that cannot record the failure of jobs', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({ imports: [ParcelsModule] });
  });

  afterAll(() => application.close());

  function refusals(): number {
    return application.logs.messages().filter((message) => message.startsWith('Failed to fail jobs')).length;
  }

  async function refuseFailures(): Promise<void> {
    await application.query(
      `create function refuse_failure() returns trigger language plpgsql as
         $$ begin raise exception 'the database is away'; end $$`,
    );
    await application.query(
      `create trigger refuse_failure before update of last_error on whatsapp_sms_fallback_queue._private_jobs
         for each row execute function refuse_failure()`,
    );
  }

  it('delivers again within seconds', async () => {
    const parcels = application.app.get(Parcels);
    const listener = application.app.get(ParcelListener);
    await refuseFailures();
    // The second write fails during the shutdown, which the third job keeps open.
    const answer = async (milliseconds: number, error: Error | null): Promise<void> => {
      await delay(milliseconds);
      if (error !== null) throw error;
    };
    listener.answers.push(
      () => answer(1_000, new Error('No')),
      () => answer(1_500, new Error('No')),
      () => answer(2_000, null),
    );
    for (const parcel of ['first', 'second', 'third']) await parcels.deliver(parcel);
    await until('both failures to be refused', () => refusals() === 2);
    await application.query('drop function refuse_failure cascade');
    const event = await parcels.deliver('after the failures');
    await until(
      'the event to be delivered',
      () => listener.delivered.some(({ id }) => id === event.id),
      15_000,
    );
  });
});
