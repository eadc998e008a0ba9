import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { seedFallback } from '../commands/ended-fallback.js';
import { withAdminKeys } from '../operations/api.js';
import { TestApplication } from '../support/application.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { describeWithChromium, Visits } from './visits.js';

const DAY_MINUTES = 24 * 60;
const HOUR = 3_600_000;

describeWithChromium('the times of the page in Chromium', () => {
  let application: TestApplication;
  let visits: Visits;

  beforeAll(async () => {
    application = await TestApplication.start({ env: withAdminKeys });
    visits = await Visits.open(application);
    for (const minutes of [0, 30, 90, 3 * DAY_MINUTES]) {
      await seedFallback(application, {
        state: 'skipped',
        reason: 'no_sender_number',
        createdAt: minutesAgo(minutes),
      });
    }
  });

  afterEach(() => visits.end());

  afterAll(async () => {
    await visits.close();
    await application.close();
  });

  it.each([
    ['right', 0],
    ['five hours ahead', 5 * HOUR],
    ['five hours behind', -5 * HOUR],
  ])('are the service’s, if the visitor’s clock is %s', async (_, milliseconds) => {
    const visit = await visits.begin();
    const { page } = visit;
    await page.clock.setSystemTime(Date.now() + milliseconds);
    await visit.signIn();
    const refused = page.locator('.step.refused strong');
    await refused.getByText('3', { exact: true }).waitFor();
    await page.getByText('Last hour').click();
    await refused.getByText('2', { exact: true }).waitFor();
    const cards = page.getByRole('region', { name: 'Needs attention' }).getByRole('button');
    expect(await cards.count()).toBe(2);
  });

  it('say so if they have no end yet', async () => {
    const { page } = await visits.signIn();
    await page.getByText('14 days').click();
    await page.getByText('The same as a table, by day').click();
    const rows = page.getByRole('region', { name: 'Refusals as a table' }).locator('tbody').getByRole('row');
    const [latest, ...others] = await rows.allTextContents();
    expect(latest).toMatch(/so\sfar/);
    expect(others).not.toEqual([]);
    expect(others.join()).not.toMatch(/so\sfar/);
    const chart = page.locator('#course-chart');
    expect(await chart.getAttribute('aria-label')).toContain('The last day (UTC) is incomplete.');
    const [whole, mark] = [
      await chart.locator('.u-over').boundingBox(),
      await chart.locator('.so-far').boundingBox(),
    ];
    // The last of fifteen days.
    expect(mark?.width).toBeCloseTo((whole?.width ?? 0) / 14, 0);
    expect((mark?.x ?? 0) + (mark?.width ?? 0)).toBeCloseTo((whole?.x ?? 0) + (whole?.width ?? 0), 0);
    await chart.locator('.u-over').hover({ position: { x: (whole?.width ?? 0) - 2, y: 50 } });
    await chart.locator('.u-legend', { hasText: 'so far' }).waitFor();
  });
});
