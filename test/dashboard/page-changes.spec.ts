import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import type { Statistics } from '../../dashboard/answers.js';
import { seedFallback } from '../commands/ended-fallback.js';
import { withAdminKeys } from '../operations/api.js';
import { TestApplication } from '../support/application.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { describeWithChromium, Visits } from './visits.js';

describeWithChromium('the page in Chromium, while what it shows changes', () => {
  let application: TestApplication;
  let visits: Visits;

  beforeAll(async () => {
    application = await TestApplication.start({ env: withAdminKeys });
    visits = await Visits.open(application);
  });

  afterEach(() => visits.end());

  afterAll(async () => {
    await visits.close();
    await application.close();
  });

  async function seedSkipped(minutes: number): Promise<string> {
    const { twilioSid } = await seedFallback(application, {
      state: 'skipped',
      reason: 'no_sender_number',
      createdAt: minutesAgo(minutes),
    });
    return twilioSid;
  }

  it('keeps the focus on the fallback on which it is, whichever come and go before it', async () => {
    const sids = [await seedSkipped(40), await seedSkipped(30), await seedSkipped(20)];
    const visit = await visits.signIn();
    const tryAgain = (sid = '') => visit.page.getByRole('button', { name: `Try again: ${sid}` });
    await tryAgain(sids[1]).focus();

    const before = await seedSkipped(10);
    await tryAgain(before).waitFor();
    expect(await visit.focusedName()).toBe(`Try again: ${sids[1]}`);

    await application.query('delete from sms_fallbacks where original_message_sid = any ($1)', [
      [before, sids[2]],
    ]);
    await tryAgain(sids[2]).waitFor({ state: 'detached' });
    expect(await visit.focusedName()).toBe(`Try again: ${sids[1]}`);
  });

  it('keeps the focus on a row that others overtake', async () => {
    const visit = await visits.begin();
    const counts = { '30003': 2, '30005': 1 };
    await visit.page.route('**/api/v1/stats*', async (route) => {
      const response = await route.fetch();
      const answer = (await response.json()) as Statistics;
      const events = Object.entries(counts).map(([errorCode, count]) => ({
        channel: 'sms',
        errorCode,
        count,
      }));
      await route.fulfill({ response, json: { ...answer, events } });
    });
    await visit.signIn();
    await visit.page.getByRole('link', { name: '30003' }).focus();
    counts['30005'] = 3;
    await seedSkipped(5);
    await visit.page.locator('.codes tbody tr:first-child', { hasText: '30005' }).waitFor();
    expect(await visit.focused()).toBe('30003');
  });
});
