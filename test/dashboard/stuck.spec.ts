import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { withAdminKeys } from '../operations/api.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { seedFallback } from '../commands/ended-fallback.js';
import { TestApplication } from '../support/application.js';
import { policyFailure, untilAllIsDone } from '../support/fallbacks.js';
import { ageJobs, withDomainEventsOptions } from '../support/job-queue.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { randomMessageSid, seedMessage } from '../support/seed.js';
import { createTestDatabase } from '../support/test-database.js';
import type { PageVisit } from './page-visit.js';
import { describeWithChromium, Visits } from './visits.js';

const NOTHING = 'Nothing is stuck';

describeWithChromium('what needs a look, in Chromium', () => {
  let database: DatabaseConnection;
  let web: TestApplication;
  let visits: Visits;
  let visit: PageVisit;

  beforeAll(async () => {
    database = await createTestDatabase();
    web = await TestApplication.start({
      env: withAdminKeys,
      database,
      override: withDomainEventsOptions(database, { concurrency: 0 }),
    });
    visits = await Visits.open(web);
  });

  beforeEach(async () => {
    visit = await visits.signIn();
  });

  afterEach(() => visits.end());

  afterAll(async () => {
    await visits.close();
    await web.close();
    await database.close();
  });

  const section = () => visit.page.getByRole('region', { name: 'Needs a look' });

  it('is nothing at first', async () => {
    await section().getByText(NOTHING).waitFor();
  });

  it('is an SMS that was sent and not delivered, with the meaning of its code and no second try', async () => {
    const sent = { state: 'sent', smsMessageSid: randomMessageSid(), createdAt: minutesAgo(30) } as const;
    const { twilioSid } = await seedFallback(web, {
      ...sent,
      sentAt: minutesAgo(29),
      smsUndeliveredAt: minutesAgo(28),
      smsErrorCode: '30005',
    });
    await visit.page.reload();
    await section().getByRole('heading', { name: 'SMS not delivered, 24 hours' }).waitFor();
    await section().getByText('The number is not in use').waitFor();
    await section()
      .getByRole('link', { name: `Journey of ${twilioSid}` })
      .waitFor();
    expect(await section().getByRole('button').count()).toBe(0);
    expect(await section().getByText(NOTHING).count()).toBe(0);
    expect(await visit.accessibilityProblems()).toEqual([]);
    await web.query('delete from sms_fallbacks');
  });

  it('has no second try for what is erased, and no regret for what WhatsApp delivered after all', async () => {
    await seedFallback(web, {
      ...{ state: 'skipped', reason: 'no_sender_number', createdAt: minutesAgo(30) },
      ...{ toNumber: null, erasedAt: minutesAgo(20) },
    });
    await seedFallback(web, {
      ...{
        state: 'sent',
        smsMessageSid: randomMessageSid(),
        createdAt: minutesAgo(30),
        sentAt: minutesAgo(29),
      },
      ...{ smsUndeliveredAt: minutesAgo(28), duplicateDeliveryAt: minutesAgo(27) },
    });
    await visit.page.reload();
    await section().getByText('to a number that is erased').waitFor();
    await section().getByText('WhatsApp delivered the message after all.').waitFor();
    expect(await section().getByRole('button').count()).toBe(0);
    expect(await section().getByText('The person got neither.').count()).toBe(0);
    await web.query('delete from sms_fallbacks');
  });

  it('is the queue while no worker takes a policy failure, and nothing once one does', async () => {
    const { twilioSid } = await seedMessage(web.dataSource);
    await policyFailure(web, twilioSid);
    await section().getByText('1 job waiting, the first for').waitFor();
    await ageJobs(web, 5);
    await visit.page.reload();
    await section().getByText('1 job overdue, the first by 5 min').waitFor();
    expect(await section().getByText(NOTHING).count()).toBe(0);
    expect(await visit.accessibilityProblems()).toEqual([]);
    const worker = await TestApplication.start({ database });
    try {
      await untilAllIsDone(worker, twilioSid);
    } finally {
      await worker.close();
    }
    await section().getByText(NOTHING).waitFor();
    expect(await section().getByText('overdue').count()).toBe(0);
  });
});
