import { Command } from 'commander';
import { mkdirSync } from 'node:fs';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import type { DataSource } from 'typeorm';
import { execute, EXIT_CODES, runProgram } from '../../src/process/command-line.js';
import { DATA_SOURCE_TOKEN } from '../../src/process/inject-database.js';
import { delivered, paced } from '../callback-plan.js';
import { demoAccount } from '../demo-account.js';
import { TwilioSimulator } from '../twilio-simulator.js';
import { CHROMIUM_OPTIONS, findChromium } from './chromium.js';
import { storeClinic, storeMessage } from './clinic.js';
import { storeHistory } from './history.js';
import { narrateTwilio, playJourney } from './journey.js';
import { Narrator } from './narrator.js';
import { listen, startService, temporaryFolder, WEBHOOK_PATH } from './service.js';

const FOLDER = 'docs/images';

const DESKTOP = { width: 1120, height: 1000 };
const PHONE = { width: 375, height: 760 };

/** `npm run screenshots`: the page on the demo's data, for the README. */
async function main(): Promise<void> {
  const executablePath = findChromium();
  if (executablePath === null)
    throw new Error('There is no Chromium: install one, or name it in TEST_CHROMIUM');
  const narrator = new Narrator();
  const twilio = await TwilioSimulator.start({ callbackPlan: paced(delivered, 500) });
  const adminKey = `${demoAccount.sid}-screenshots`;
  const app = await startService({ dataFolder: temporaryFolder(), twilio, narrator, adminKey });
  const origin = await listen(app, 0);
  const statusCallbackUrl = `${origin}${WEBHOOK_PATH}`;
  const dataSource = app.get<DataSource>(DATA_SOURCE_TOKEN);
  const companyId = await storeClinic(dataSource);
  await storeHistory(dataSource, { companyId, statusCallbackUrl });
  const message = await storeMessage(
    dataSource,
    companyId,
    'Hello Ada, your appointment is tomorrow at 10:00.',
  );
  narrateTwilio(twilio, narrator);
  await playJourney(twilio, dataSource, narrator, message, statusCallbackUrl);

  mkdirSync(FOLDER, { recursive: true });
  const browser = await chromium.launch({ executablePath, args: CHROMIUM_OPTIONS });
  const take = photographer(browser, `${origin}/dashboard`, adminKey);
  await take('dashboard-light', { viewport: DESKTOP, colorScheme: 'light' });
  await take('dashboard-dark', { viewport: DESKTOP, colorScheme: 'dark' });
  await take('dashboard-phone', { viewport: PHONE, colorScheme: 'light' });
  await take('dashboard-journey', { viewport: DESKTOP, colorScheme: 'light' }, `#/messages/${message.sid}`);
  await browser.close();
  await twilio.close();
  await app.close();
}

type Photographer = (name: string, options: BrowserContextOptions, fragment?: string) => Promise<void>;

function photographer(browser: Browser, url: string, adminKey: string): Photographer {
  return async (name, options, fragment = '') => {
    const context = await browser.newContext({ ...options, reducedMotion: 'reduce', locale: 'en-GB' });
    const page = await context.newPage();
    await page.goto(url + fragment);
    await signIn(page, adminKey);
    await page.screenshot({ path: `${FOLDER}/${name}.png` });
    await context.close();
  };
}

async function signIn(page: Page, adminKey: string): Promise<void> {
  await page.getByLabel('Key').fill(adminKey);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('.uplot canvas').waitFor();
  await page.locator('.connection.live').waitFor();
}

await runProgram((args, terminal) =>
  execute(
    () =>
      new Command('npm run screenshots')
        .description(`Takes the pictures of the README in ${FOLDER}, with the demo's data and a Chromium.`)
        .addHelpText('after', `\n${EXIT_CODES}`)
        .action(main),
    args,
    terminal,
  ),
);
