import { Pool } from 'pg';
import PgBoss from 'pg-boss';
import { serve } from './express-app.js';
import { insertEvent } from './insert-event.js';
import { type RefusedMessage, refusedMessageOf, sendSms } from './send-sms.js';
import { databaseUrl } from './settings.js';

const QUEUE = 'sms';
const CONCURRENCY = 50;

/** The handler stores the callback and adds a job of pg-boss. A worker in the same process sends the SMS. */
const pool = new Pool({ connectionString: databaseUrl });
const boss = new PgBoss(databaseUrl);
boss.on('error', console.error);
await boss.start();
await boss.createQueue(QUEUE);

// The shortest interval at which pg-boss polls.
const worker = await boss.work<RefusedMessage>(
  QUEUE,
  { batchSize: CONCURRENCY, pollingIntervalSeconds: 0.5 },
  async (jobs) => {
    // A full batch means that more jobs wait: pg-boss then fetches them without waiting for its interval.
    if (jobs.length === CONCURRENCY) boss.notifyWorker(worker);
    const results = await Promise.allSettled(jobs.map(({ data }) => sendSms(pool, data)));
    // An error of the whole batch would repeat the SMS that were sent.
    const failed = jobs.filter((_, index) => results[index]?.status === 'rejected').map(({ id }) => id);
    if (failed.length > 0) await boss.fail(QUEUE, failed);
  },
);

serve(async (parameters) => {
  const isNew = await insertEvent(pool, parameters);
  const refused = refusedMessageOf(parameters);
  if (isNew && refused !== undefined) await boss.send(QUEUE, refused);
});
