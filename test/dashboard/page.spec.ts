import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import type { BrowserContextOptions } from 'playwright-core';
import { storeClinic } from '../../simulator/demo/clinic.js';
import { storeHistory } from '../../simulator/demo/history.js';
import { ADMIN_KEY, withAdminKeys } from '../operations/api.js';
import { TestApplication, WEBHOOK_URL } from '../support/application.js';
import { DatabaseLine } from '../support/database-line.js';
import { policyFailure, recipientOf, untilAllIsDone } from '../support/fallbacks.js';
import { randomMessageSid, type SeededMessage, seedMessage } from '../support/seed.js';
import { createTestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';
import { describeWithChromium, Visits } from './visits.js';

const PHONE = { width: 320, height: 640 };

describeWithChromium('the page in Chromium', () => {
  let line: DatabaseLine;
  let application: TestApplication;
  let visits: Visits;
  let message: SeededMessage;

  beforeAll(async () => {
    line = await DatabaseLine.open(await createTestDatabase());
    application = await TestApplication.start({ env: withAdminKeys, database: line });
    visits = await Visits.open(application);
    const companyId = await storeClinic(application.dataSource);
    await storeHistory(application.dataSource, { companyId, statusCallbackUrl: WEBHOOK_URL });
    message = await seedMessage(application.dataSource);
    await policyFailure(application, message.twilioSid);
    await untilAllIsDone(application, message.twilioSid);
  });

  afterEach(() => visits.end());

  afterAll(async () => {
    await visits.close();
    await application.close();
    await line.close();
  });

  it('asks for a key, shows the funnel, the chart, and the codes, and forgets the key on request', async () => {
    const visit = await visits.begin();
    const { page } = visit;
    await page.goto(`${application.origin}/dashboard`);
    expect(await visit.accessibilityProblems()).toEqual([]);
    await page.getByLabel('Key').fill('a-key-that-is-none-of-them');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').filter({ hasText: 'Wrong key' }).waitFor();
    // Chromium reports the 401 on its console.
    visit.complaints.splice(0);
    await page.getByLabel('Key').fill(ADMIN_KEY);
    await page.getByRole('button', { name: 'Sign in' }).click();
    const [counted] = await application.query<{ count: number }>(
      `select count(*)::int as count from sms_fallbacks where created_at >= date_trunc('hour', now() - interval '1 day')`,
    );
    await page.locator('.step.refused', { hasText: String(counted?.count) }).waitFor();
    await page.locator('.uplot canvas').waitFor();
    await page.getByRole('row', { name: /63049 WhatsApp \d+ Meta chose not to deliver/ }).waitFor();
    await page.getByText('The same as a table, by hour').click();
    expect(
      await page.getByRole('region', { name: 'Refusals as a table' }).getByRole('row').count(),
    ).toBeGreaterThan(5);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('Key').waitFor();
  });

  it('finds a message by the number of its person, and shows its journey with masked numbers', async () => {
    const visit = await visits.signIn();
    const { page } = visit;
    const number = recipientOf(message.twilioSid);
    await page.getByLabel('Find a message').fill(`${number.slice(0, 5)} ${number.slice(5)}`);
    await page.getByRole('button', { name: 'Search' }).click();
    await page.getByRole('link', { name: message.twilioSid }).click();
    const journey = page.getByRole('region', { name: `Journey of ${message.twilioSid}` });
    await journey.getByText(/63049 on WhatsApp → SMS: sent as SM\w+, delivered after/).waitFor();
    expect(await visit.focused()).toBe(`Journey of ${message.twilioSid}`);
    expect(await journey.getByText(number).count()).toBe(0);
    await journey.getByRole('button', { name: 'Show numbers' }).click();
    await journey.getByText(number).first().waitFor();
    expect(application.logs.messages()).toContain('Whole telephone numbers were asked for');
    expect(await visit.accessibilityProblems()).toEqual([]);
    // Opens its SMS, and returns with the browser's own button.
    await journey.getByRole('link', { name: /^SM/ }).click();
    await page
      .getByText(/^Journey of SM/)
      .filter({ hasNotText: message.twilioSid })
      .waitFor();
    await page.goBack();
    await journey.waitFor();
  });

  it('opens the journey that a link names, also after the form for the key', async () => {
    const { page } = await visits.signIn({}, `#/messages/${message.twilioSid}`);
    await page.getByRole('heading', { name: `Journey of ${message.twilioSid}` }).waitFor();
  });

  it('opens for a signed-in person who follows a link on another site', async () => {
    const visit = await visits.signIn();
    const { page } = visit;
    // The browser treats this as another site than 127.0.0.1. It has no icon.
    await page.goto(`${application.origin.replace('127.0.0.1', 'localhost')}/health/live`);
    const link = `${application.origin}/dashboard#/messages/${message.twilioSid}`;
    await page.evaluate(`location.href = ${JSON.stringify(link)}`);
    await page.getByRole('heading', { name: `Journey of ${message.twilioSid}` }).waitFor();
    visit.complaints.splice(0);
  });

  it('says so if the message is unknown', async () => {
    const visit = await visits.signIn();
    const { page } = visit;
    const sid = randomMessageSid();
    await page.getByLabel('Find a message').fill(sid.toUpperCase());
    await page.keyboard.press('Enter');
    await page
      .getByRole('alert')
      .filter({ hasText: `There is no message ${sid}` })
      .waitFor();
    // Chromium reports the 404 on its console.
    visit.complaints.splice(0);
  });

  it('says so if a link is incomplete', async () => {
    const visit = await visits.signIn({}, '#/messages/SM%');
    const problem = visit.page.getByRole('alert').filter({ hasText: 'There is no message SM%' });
    await problem.waitFor();
    await visit.page.evaluate(`location.hash = '#/messages/${message.twilioSid}'`);
    await visit.page.getByText(/63049 on WhatsApp → SMS/).waitFor();
    await visit.page.evaluate("location.hash = '#/messages/%'");
    await problem.waitFor({ state: 'detached' });
    await visit.page.getByText('There is no message %').waitFor();
    // Chromium reports each 404 on its console.
    visit.complaints.splice(0);
  });

  it('works with the keyboard alone', async () => {
    const visit = await visits.signIn();
    const { page } = visit;
    const press = async (key: string, times = 1): Promise<void> => {
      for (let pressed = 0; pressed < times; pressed += 1) await page.keyboard.press(key);
    };
    await page.reload();
    await page.locator('.uplot canvas').waitFor();
    await press('Tab');
    expect(await visit.focused()).toBe('Skip to the content');
    await press('Enter');
    await press('Tab');
    expect(await visit.focused()).toBe('search-field');
    await page.keyboard.type(message.twilioSid);
    await press('Enter');
    await page.getByText(/63049 on WhatsApp → SMS/).waitFor();
    expect(await visit.focused()).toBe(`Journey of ${message.twilioSid}`);
    await press('Tab');
    expect(await visit.focused()).toBe('Close');
    await press('Enter');
    expect(await visit.focused()).toBe('search-field');
    // The journey stays until the browser reports the new address, and Tab goes through it.
    await page.getByText(/63049 on WhatsApp → SMS/).waitFor({ state: 'detached' });
    await press('Tab', 2);
    await press('ArrowRight');
    expect(await page.getByRole('radio', { name: '7 days' }).isChecked()).toBe(true);
    await page.getByText('The same as a table, by hour').waitFor();
    await press('Tab');
    expect(await visit.focused()).toBe('The same as a table, by hour');
    await press('Enter');
    await page.getByRole('region', { name: 'Refusals as a table' }).waitFor();
  });

  it('shows new events by itself', async () => {
    const { page } = await visits.signIn();
    const value = page.locator('.step.refused strong');
    const before = Number(await value.textContent());
    const another = await seedMessage(application.dataSource);
    await policyFailure(application, another.twilioSid);
    await until('another one to be counted', async () => Number(await value.textContent()) === before + 1);
    await untilAllIsDone(application, another.twilioSid);
  });

  it('retries a fallback and shows the result', async () => {
    const visit = await visits.signIn();
    const { page } = visit;
    await page.getByRole('radio', { name: '14 days' }).check();
    const button = page.getByRole('button', { name: /^Try again: SM\w+$/ }).first();
    const [sid = ''] = /SM\w+/.exec((await button.getAttribute('aria-label')) ?? '') ?? [];
    await button.click();
    await page.getByRole('listitem').filter({ hasText: sid }).getByText('claimed again').waitFor();
    expect(await visit.focused()).toBe('Tried again');
    await untilAllIsDone(application, sid);
  });

  const looks: [string, BrowserContextOptions, string][] = [
    ['in light', { colorScheme: 'light' }, 'rgb(255, 255, 255)'],
    ['in dark', { colorScheme: 'dark' }, 'rgb(19, 23, 22)'],
    ['on a phone', { colorScheme: 'light', viewport: PHONE }, 'rgb(255, 255, 255)'],
  ];

  it.each(looks)('is accessible %s', async (_, options, paper) => {
    const visit = await visits.signIn(options, `#/messages/${message.twilioSid}`);
    await visit.page.getByText(/63049 on WhatsApp → SMS/).waitFor();
    await visit.page.getByText('The same as a table, by hour').click();
    expect(await visit.page.evaluate('getComputedStyle(document.body).backgroundColor')).toBe(paper);
    expect(await visit.scrollsSideways()).toBe(false);
    expect(await visit.accessibilityProblems()).toEqual([]);
  });

  it('says so while the database is unreachable, and recovers by itself', async () => {
    const visit = await visits.signIn();
    const { page } = visit;
    line.cut();
    await page.getByText('Database unreachable; retrying …').first().waitFor();
    line.mend();
    await page.locator('.connection.live').waitFor();
    // Chromium reports each 503 on its console.
    visit.complaints.splice(0);
  });

  it('asks for the key again once the session has ended', async () => {
    const visit = await visits.signIn();
    const { page } = visit;
    await page.context().clearCookies();
    await page.getByText('7 days').click();
    await page.getByLabel('Key').waitFor();
    visit.complaints.splice(0);
  });

  it('does not reload endlessly if a proxy adds an invalid key, and goes on without it', async () => {
    const visit = await visits.signIn();
    const { page } = visit;
    let loaded = 0;
    page.on('load', () => (loaded += 1));
    const answer = () => page.waitForResponse(/\/api\/v1\/stats/);
    await page.context().setExtraHTTPHeaders({ Authorization: 'Bearer of-the-proxy' });
    await page.getByText('7 days').click();
    const problem = page.getByRole('alert').filter({ hasText: 'a proxy that adds an Authorization header' });
    await problem.waitFor();
    for (const range of ['Last hour', '14 days', '7 days']) {
      const [refused] = await Promise.all([answer(), page.getByText(range, { exact: true }).click()]);
      expect([401, 429]).toContain(refused.status());
    }
    await problem.waitFor();
    expect(loaded).toBe(1);

    await page.context().setExtraHTTPHeaders({});
    await page.getByText('24 hours').click();
    await problem.waitFor({ state: 'detached' });
    // When a session really ends, the page reloads to show the form.
    expect(await page.evaluate('sessionStorage.length')).toBe(0);
    visit.complaints.splice(0);
  });
});
