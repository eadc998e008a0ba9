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

describeWithChromium('the list of what needs a look, in Chromium', () => {
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

  const section = () => visit.page.getByRole('region', { name: 'Needs attention' });

  it('is empty at first', async () => {
    await section().getByText(NOTHING).waitFor();
  });

  it('lists an SMS that was sent and not delivered, with the meaning of its code and no retry', async () => {
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

  it('offers no retry for an erased fallback or for one that WhatsApp delivered in the end', async () => {
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
    await section().getByText('to an erased number').waitFor();
    await section().getByText('WhatsApp delivered the message after all.').waitFor();
    expect(await section().getByRole('button').count()).toBe(0);
    expect(await section().getByText('The person got neither.').count()).toBe(0);
    await web.query('delete from sms_fallbacks');
  });

  it('offers no retry after an opt-out or for a number without SMS, and one for the others', async () => {
    const rejected = { state: 'failed', reason: 'rejected_by_twilio', createdAt: minutesAgo(30) } as const;
    await seedFallback(web, { ...rejected, attempts: 1, lastErrorCode: '21610' });
    await seedFallback(web, { ...rejected, attempts: 1, lastErrorCode: '21614' });
    await seedFallback(web, {
      ...{ ...rejected, attempts: 1, lastErrorCode: '21408' },
      ...{ retriedAt: minutesAgo(20), retriedBy: 'cli:alice@host' },
    });
    await visit.page.reload();
    await section().getByText('The person has opted out of your SMS. That is final.').waitFor();
    await section().getByText('this number cannot receive SMS').waitFor();
    await section().getByText('Tried again by cli:alice@host').waitFor();
    expect(
      await section()
        .getByRole('button', { name: /^Try again/ })
        .count(),
    ).toBe(1);
    await web.query('delete from sms_fallbacks');
  });

  it('says what was tried, what was left out, and how large the SMS was', async () => {
    const first = randomMessageSid();
    const other = await seedFallback(web, {
      ...{
        state: 'sent',
        smsMessageSid: randomMessageSid(),
        sentAt: minutesAgo(29),
        createdAt: minutesAgo(30),
      },
    });
    await seedFallback(web, {
      ...{ state: 'failed', reason: 'never_sent', lastErrorCode: '30001', attempts: 2 },
      ...{ createdAt: minutesAgo(30), encoding: 'UCS-2', segments: 3, notCarriedOver: ['media', 'buttons'] },
      earlierAttempts: [
        {
          ...{ at: minutesAgo(28).toISOString(), from: '+15550001111', messagingServiceSid: null },
          ...{ outcome: 'sender_refused', code: '21606', smsMessageSid: null },
        },
        {
          ...{ at: minutesAgo(27).toISOString(), from: '+15550009999', messagingServiceSid: null },
          ...{ outcome: 'never_sent', code: '30001', smsMessageSid: first },
        },
      ],
    });
    await seedFallback(web, {
      ...{ state: 'skipped', reason: 'duplicate_of', duplicateOf: other.fallbackId },
      ...{ createdAt: minutesAgo(20), toNumber: null, userId: 'US.13491208655302741918' },
    });
    await visit.page.reload();
    await section().getByText('Twilio accepted the SMS, and reported later that it never sent it.').waitFor();
    await section().getByText('+*******1111 was refused: 21606').waitFor();
    await section().getByText(`${first} was never sent: 30001`).waitFor();
    await section().getByText('Left out of the SMS: media, buttons.').waitFor();
    await section().getByText('3 segments, UCS-2').waitFor();
    await section().getByText('to US.****************1918').waitFor();
    expect(await visit.accessibilityProblems()).toEqual([]);
    await section().getByRole('link', { name: 'Journey with the same SMS' }).click();
    await visit.page.getByRole('heading', { name: `Journey of ${other.twilioSid}` }).waitFor();
    await web.query('delete from sms_fallbacks');
  });

  describe('an SMS that is too late', () => {
    const late = { state: 'skipped', reason: 'too_late', createdAt: minutesAgo(30) } as const;
    let questions: string[];

    function answer(isYes: boolean): void {
      questions = [];
      visit.page.once('dialog', (dialog) => {
        questions.push(dialog.message());
        void (isYes ? dialog.accept() : dialog.dismiss());
      });
    }

    const stateOf = (sid: string) =>
      web.query('select state, age_limit_ignored from sms_fallbacks where original_message_sid = $1', [sid]);

    afterEach(async () => {
      await web.query('delete from sms_fallbacks');
      await web.query(
        'select whatsapp_sms_fallback_queue.complete_jobs(array_agg(id)) from whatsapp_sms_fallback_queue.jobs',
      );
    });

    it('is sent only after a question that names its age', async () => {
      const { twilioSid } = await seedFallback(web, { ...late, originalSentAt: minutesAgo(300) });
      await visit.page.reload();
      await section()
        .getByText(/Sent by WhatsApp .*, 5.h ago/)
        .waitFor();
      const button = section().getByRole('button', { name: `Send anyway: ${twilioSid}` });
      expect(await visit.accessibilityProblems()).toEqual([]);
      answer(false);
      await button.click();
      expect(questions).toEqual([expect.stringMatching(/The WhatsApp message is 5.h old\./)]);
      expect(await stateOf(twilioSid)).toEqual([{ state: 'skipped', age_limit_ignored: false }]);
      answer(true);
      await button.click();
      await section().getByText('claimed again').waitFor();
      expect(questions).toHaveLength(1);
      expect(await stateOf(twilioSid)).toEqual([{ state: 'claimed', age_limit_ignored: true }]);
    });

    it('is offered after a retry that failed because of the age', async () => {
      const { twilioSid } = await seedFallback(web, {
        ...{ ...late, reason: 'no_text', originalSentAt: minutesAgo(300) },
      });
      await visit.page.reload();
      await section()
        .getByRole('button', { name: `Try again: ${twilioSid}` })
        .click();
      await section()
        .getByRole('button', { name: `Send anyway: ${twilioSid}` })
        .waitFor();
      expect(await stateOf(twilioSid)).toEqual([{ state: 'skipped', age_limit_ignored: false }]);
    });

    it('is offered in no other case', async () => {
      const { twilioSid } = await seedFallback(web, { ...late, reason: 'no_text' });
      await visit.page.reload();
      await section()
        .getByRole('button', { name: `Try again: ${twilioSid}` })
        .waitFor();
      expect(await section().getByRole('button', { name: 'Send anyway' }).count()).toBe(0);
    });
  });

  it('shows how many SMS wait for their sender, and how long that takes', async () => {
    await web.query(
      `insert into sms_senders (key, not_before) values ('AC1 MG1', now() + interval '5 minutes')`,
    );
    for (const sendBefore of [minutesAgo(-60), minutesAgo(-90)]) {
      await seedFallback(web, {
        ...{ state: 'claimed', reason: 'waiting_for_sender', pacedBy: 'AC1 MG1', sendBefore },
        createdAt: new Date(),
        nextAttemptAt: sendBefore,
      });
    }
    await visit.page.reload();
    const words = 'wait for the pace of their sender. At the current rate all are sent in about 5 min.';
    await section().getByText(`2 SMS ${words}`).waitFor();
    expect(await visit.accessibilityProblems()).toEqual([]);
    await web.query('delete from sms_fallbacks where paced_by is not null');
    await web.query('delete from sms_senders');
    await visit.page.reload();
    await section().getByText(NOTHING).waitFor();
    expect(await section().getByText('pace of their sender').count()).toBe(0);
  });

  it('shows the queue while no worker takes a policy failure, and nothing once one does', async () => {
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
