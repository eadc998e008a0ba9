import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import type { Request, Route } from 'playwright-core';
import type { Statistics } from '../../dashboard/answers.js';
import { seedFallback } from '../commands/ended-fallback.js';
import { withAdminKeys } from '../operations/api.js';
import { TestApplication } from '../support/application.js';
import { policyFailure, recipientOf, untilAllIsDone } from '../support/fallbacks.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { seedMessage } from '../support/seed.js';
import { until } from '../support/until.js';
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

  /** @returns its SID. */
  async function reportedMessage(): Promise<string> {
    const { twilioSid } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid);
    await untilAllIsDone(application, twilioSid);
    return twilioSid;
  }

  it('keeps the focus on its fallback, whichever come and go before it', async () => {
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

  it('shows the last search, whichever answer comes last', async () => {
    const [slow, quick] = await Promise.all([reportedMessage(), reportedMessage()]);
    const { page } = await visits.signIn();
    const held: Route[] = [];
    const ended = new Set<Request>();
    page.on('requestfinished', (request) => ended.add(request));
    page.on('requestfailed', (request) => ended.add(request));
    await page.route('**/api/v1/message-events**', async (route) => {
      if (held.push(route) > 1) await route.continue();
    });
    const searchFor = async (sid: string): Promise<void> => {
      await page.getByLabel('Find a message').fill(recipientOf(sid));
      await page.getByRole('button', { name: 'Search' }).click();
    };
    await searchFor(slow);
    const first = await until('the first search', () => held[0]);
    await searchFor(quick);
    await page.getByRole('link', { name: quick }).waitFor();

    await first.continue().catch(() => undefined);
    await until('the first search to end', () => ended.has(first.request()));
    await page.evaluate('new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)))');
    const shown = await page.locator('.found a').allTextContents();
    expect(shown).toContain(quick);
    expect(shown).not.toContain(slow);
  });

  it('shows the age of its data while the service does not answer, and recovers by itself', async () => {
    const { page } = await visits.signIn();
    // Twenty seconds are long for a test.
    await page.evaluate(
      'whole = AbortSignal.timeout.bind(AbortSignal), AbortSignal.timeout = (time) => whole(time / 40)',
    );
    await page.route('**/api/v1/stats*', () => undefined);
    await page.getByText('7 days').click();
    const problem = page.getByRole('alert').filter({
      hasText: /has not answered for 20 seconds\. Retrying automatically\. What is shown is as of \d/,
    });
    await problem.waitFor();
    await page.unroute('**/api/v1/stats*');
    await page.evaluate('AbortSignal.timeout = whole');
    await seedSkipped(0);
    await problem.waitFor({ state: 'detached' });
  });
});
