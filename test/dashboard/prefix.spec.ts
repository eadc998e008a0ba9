import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { withAdminKeys } from '../operations/api.js';
import { TestApplication } from '../support/application.js';
import { seedMessage } from '../support/seed.js';
import { describeWithChromium, Visits } from './visits.js';

const PREFIX = '/ops/x';

describeWithChromium('the page below a prefix, in Chromium', () => {
  let application: TestApplication;
  let visits: Visits;

  beforeAll(async () => {
    application = await TestApplication.start({
      env: withAdminKeys,
      configure: (app) => app.setGlobalPrefix(PREFIX),
    });
    visits = await Visits.open({ origin: application.origin + PREFIX });
  });

  afterEach(() => visits.end());

  afterAll(async () => {
    await visits.close();
    await application.close();
  });

  it('signs in and out, shows a journey, follows changes, and keeps its cookie there', async () => {
    const { page } = await visits.signIn();
    const [cookie, ...others] = await page.context().cookies();
    expect(others).toEqual([]);
    expect(cookie?.path).toBe(`${PREFIX}/`);
    expect(page.url()).toBe(`${application.origin}${PREFIX}/dashboard`);
    const { twilioSid } = await seedMessage(application.dataSource);
    await page.goto(`${application.origin}${PREFIX}/dashboard/#/messages/${twilioSid}`);
    await page.getByRole('heading', { name: `Journey of ${twilioSid}` }).waitFor();
    expect(page.url()).toBe(`${application.origin}${PREFIX}/dashboard#/messages/${twilioSid}`);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('Key').waitFor();
    expect(await page.context().cookies()).toEqual([]);
  });

  it('asks again after a wrong key', async () => {
    const { page, complaints } = await visits.begin();
    await page.goto(`${application.origin}${PREFIX}/dashboard`);
    await page.getByLabel('Key').fill('a wrong key');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').waitFor();
    // The form is now at another depth, and still finds its files.
    expect(await page.evaluate<number>('document.styleSheets.length')).toBe(1);
    expect(complaints.splice(0)).toEqual([expect.stringContaining('401 (Unauthorized)')]);
  });
});
