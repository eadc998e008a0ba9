import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { withAdminKeys } from '../operations/api.js';
import { TestApplication } from '../support/application.js';
import { attemptNow, findFallback, policyFailure, untilAllIsDone } from '../support/fallbacks.js';
import { seedMessage } from '../support/seed.js';
import { withOutages } from '../twilio/outages.js';
import { describeWithChromium, Visits } from './visits.js';

describeWithChromium('an outage of Twilio, in Chromium', () => {
  let application: TestApplication;
  let visits: Visits;

  beforeAll(async () => {
    application = await TestApplication.start({ env: withAdminKeys, override: withOutages() });
    visits = await Visits.open(application);
  });

  afterEach(() => visits.end());

  afterAll(async () => {
    await visits.close();
    await application.close();
  });

  it('appears in red by itself, with the cause and a remedy, and disappears when it is over', async () => {
    const visit = await visits.signIn();
    const { page } = visit;
    const banner = page.getByRole('region', { name: 'Twilio cannot be used' });
    expect(await banner.count()).toBe(0);
    await page.locator('.connection', { hasText: /^Live$/ }).waitFor();
    let isDown = true;
    application.twilio.failNext({
      ...{ on: 'any', times: Infinity, when: () => isDown },
      fault: { type: 'error', status: 401, code: 20003 },
    });
    const { twilioSid } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid);
    await banner.getByText('Twilio rejects the auth token of the account.').waitFor();
    await banner.getByText('Copy the token from Console').waitFor();
    await banner.getByText('1 SMS waits.').waitFor();
    await banner.getByText('docs/runbook.md').waitFor();
    await page.locator('.connection.down', { hasText: 'Twilio cannot be used' }).waitFor();
    expect(await page.getByText('Nothing is stuck').count()).toBe(0);
    expect(await page.locator('#announcement').textContent()).toContain('Twilio cannot be used');
    expect(await visit.accessibilityProblems()).toEqual([]);

    isDown = false;
    const fallback = await findFallback(application, twilioSid);
    await attemptNow(application, fallback?.id ?? '');
    await untilAllIsDone(application, twilioSid);
    await banner.waitFor({ state: 'detached' });
    await page.getByText('Nothing is stuck').waitFor();
    await page.locator('.connection', { hasText: /^Live$/ }).waitFor();
    expect(await visit.accessibilityProblems()).toEqual([]);
  });
});
