import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TestApplication } from '../support/application.js';
import { policyFailure, untilAllIsDone } from '../support/fallbacks.js';
import { jobsOf, runWaitingJobs, untilQueueIsEmpty } from '../support/job-queue.js';
import { seedMessage } from '../support/seed.js';
import { until } from '../support/until.js';
import { ParcelListener, Parcels, ParcelsModule, ParcelStatistics } from './parcels.js';

describe('a domain event', () => {
  let application: TestApplication;
  let parcels: Parcels;
  let listener: ParcelListener;
  let statistics: ParcelStatistics;

  beforeAll(async () => {
    application = await TestApplication.start({ imports: [ParcelsModule] });
    parcels = application.app.get(Parcels);
    listener = application.app.get(ParcelListener);
    statistics = application.app.get(ParcelStatistics);
  });

  afterAll(() => application.close());

  const heard = (by: ParcelListener | ParcelStatistics, parcel: string) =>
    by.delivered.filter((event) => event.parcel === parcel);

  it('of another module reaches every listener as the plain JSON that was published', async () => {
    const event = await parcels.deliver('everybody');
    await untilQueueIsEmpty(application);
    expect(heard(listener, 'everybody')).toEqual([event]);
    expect(heard(statistics, 'everybody')).toEqual([event]);
  });

  it('of the service reaches a listener of another module as well as the fallback', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid, { status: 'failed' });
    const { state, messageEventId } = await untilAllIsDone(application, twilioSid);
    expect(state).toBe('sent');
    const events = listener.policyFailures.filter(({ messageSid }) => messageSid === twilioSid);
    expect(events).toMatchObject([{ messageStatus: 'failed', errorCode: '63049', messageEventId }]);
  });

  it('of the service is plain JSON with an id and a time, and without the message’s text', async () => {
    const { twilioSid, body } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid, { extra: { Body: body ?? '' } });
    await untilAllIsDone(application, twilioSid);
    const [event] = listener.policyFailures.filter(({ messageSid }) => messageSid === twilioSid);
    expect(Object.getPrototypeOf(event)).toBe(Object.prototype);
    expect(JSON.parse(JSON.stringify(event))).toEqual(event);
    expect(event?.id).toMatch(/^[0-9a-f-]{36}$/);
    expect(new Date(event?.occurredAt ?? '').toISOString()).toBe(event?.occurredAt);
    expect(JSON.stringify(event)).not.toContain(body);
  });

  it('is delivered if its transaction commits, and not before', async () => {
    await application.dataSource.transaction(async (manager) => {
      await parcels.deliver('committed', manager);
      expect(heard(listener, 'committed')).toEqual([]);
    });
    await untilQueueIsEmpty(application);
    expect(heard(listener, 'committed')).toHaveLength(1);
  });

  it('is not delivered if its transaction rolls back', async () => {
    const rolledBack = application.dataSource.transaction(async (manager) => {
      await parcels.deliver('rolled back', manager);
      throw new Error('No');
    });
    await expect(rolledBack).rejects.toThrow('No');
    await parcels.deliver('after the rollback');
    await untilQueueIsEmpty(application);
    expect(heard(listener, 'after the rollback')).toHaveLength(1);
    expect(heard(listener, 'rolled back')).toEqual([]);
  });

  it('is delivered again to a listener that has rejected, and not to one that has resolved', async () => {
    statistics.answers.push(fail('first'), fail('second'));
    const event = await parcels.deliver('retried');
    await until('the job to wait for its retry', async () => {
      const [job] = await jobsOf(application, 'parcel.delivered');
      return job?.locked_at === null && job.last_error?.includes('first') && job.run_at > new Date();
    });
    expect(heard(listener, 'retried')).toEqual([event]);
    await runWaitingJobs(application);
    await untilQueueIsEmpty(application);
    expect(heard(statistics, 'retried')).toEqual([event, event, event]);
    expect(heard(listener, 'retried')).toEqual([event]);
  });

  it('is delivered again to every listener if all have rejected', async () => {
    statistics.answers.push(fail('one'));
    listener.answers.push(fail('other'));
    const event = await parcels.deliver('twice refused');
    await until('the job to wait for its retry', async () => {
      const [job] = await jobsOf(application, 'parcel.delivered');
      return job?.locked_at === null && job.last_error !== null;
    });
    await runWaitingJobs(application);
    await untilQueueIsEmpty(application);
    expect(heard(statistics, 'twice refused')).toEqual([event, event]);
    expect(heard(listener, 'twice refused')).toEqual([event, event]);
  });

  it('stays in the queue with the reason if the listener that is left is gone', async () => {
    statistics.answers.push(fail('renamed'));
    await parcels.deliver('left behind');
    await until('the job to wait for its retry', async () => {
      const [job] = await jobsOf(application, 'parcel.delivered');
      return job?.locked_at === null && job.last_error !== null;
    });
    await application.query(
      `update whatsapp_sms_fallback_queue._private_jobs
          set payload = payload::jsonb || '{"listeners": ["ParcelStatistics.add"]}' where payload->>'name' = 'parcel.delivered'`,
    );
    await runWaitingJobs(application);
    const job = await until('the job to have failed again', async () => {
      const [left] = await jobsOf(application, 'parcel.delivered');
      return left?.locked_at === null && left.attempts === 2 && left;
    });
    expect(job.last_error).toContain('None of the listeners that are left exists: ParcelStatistics.add');
    await application.query(`select whatsapp_sms_fallback_queue.complete_jobs(array[$1::bigint])`, [job.id]);
  });

  it('is not delivered again while a listener is still at work, even if another has rejected', async () => {
    let finish: () => void = () => undefined;
    const working = new Promise<void>((resolve) => (finish = resolve));
    let isOver = false;
    const work = async () => {
      await working;
      isOver = true;
    };
    listener.answers.push(work);
    statistics.answers.push(fail('at once'));
    await parcels.deliver('overlapping');
    await until('both to have heard', () => heard(statistics, 'overlapping').length === 1);
    await parcels.deliver('another');
    await until('the other event to be done', () => heard(statistics, 'another').length === 1);
    const [job] = (await jobsOf(application, 'parcel.delivered')).filter(
      ({ event }) => event['parcel'] === 'overlapping',
    );
    expect(job).toMatchObject({ last_error: null });
    expect(job?.locked_at).not.toBeNull();
    expect(isOver).toBe(false);
    finish();
    await untilQueueIsEmpty(application);
    expect(heard(statistics, 'overlapping')).toHaveLength(2);
    expect(heard(listener, 'overlapping')).toHaveLength(1);
  });

  it('stays in the queue with the reason if it has no listener', async () => {
    await parcels.lose('nobody cares');
    const job = await until('the job to have failed', async () => {
      const [lost] = await jobsOf(application, 'parcel.lost');
      return lost?.locked_at === null && lost.last_error !== null && lost;
    });
    expect(job).toMatchObject({ attempts: 1, last_error: expect.stringContaining('No listener') as unknown });
    expect(job.event).toMatchObject({ parcel: 'nobody cares' });
    await application.query(`select whatsapp_sms_fallback_queue.complete_jobs(array[$1::bigint])`, [job.id]);
  });

  it('is not delivered before its time', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid.replace('SM', 'MM'));
    const job = await until('the next look at a missing message', async () => {
      const [due] = await jobsOf(application, 'sms_fallback.attempt_due');
      return due;
    });
    expect(job.run_at.getTime()).toBeGreaterThan(Date.now() - 1_000);
    expect(job).toMatchObject({ attempts: 0, locked_at: null });
    expect(job.event['occurredAt']).toBe(job.run_at.toISOString());
  });
});

function fail(message: string): () => Promise<void> {
  return () => Promise.reject(new Error(message));
}
