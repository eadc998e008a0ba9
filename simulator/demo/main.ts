import type { NestExpressApplication } from '@nestjs/platform-express';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { DataSource } from 'typeorm';
import { exitWithError } from '../../src/process/startup-error.js';
import { paced, delivered } from '../callback-plan.js';
import { demoAccount } from '../demo-account.js';
import { TwilioSimulator } from '../twilio-simulator.js';
import { clinic, storeClinic, storeMessage } from './clinic.js';
import { storeHistory } from './history.js';
import { narrateTwilio, playJourney, printRecord } from './journey.js';
import { Narrator } from './narrator.js';
import { listen, startService, temporaryFolder, WEBHOOK_PATH } from './service.js';

/** `npm run demo`: the whole main job with a fake Twilio. With `--once` it ends after it, with 0 where it went well. */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { once: { type: 'boolean', default: false } } });
  const narrator = new Narrator();
  narrator.title('whatsapp-sms-fallback: the service, an embedded PostgreSQL and a fake Twilio');
  const dataFolder = temporaryFolder();
  const twilio = await TwilioSimulator.start({ callbackPlan: paced(delivered, 500) });
  narrator.say('demo', `the fake Twilio is at ${twilio.baseUrl}`);
  narrator.say('demo', 'starting an embedded PostgreSQL and the service; that takes some seconds');
  const adminKey = randomBytes(18).toString('hex');
  const app = await startService({ dataFolder, twilio, narrator, adminKey });
  const origin = await listen(app, values.once ? 0 : Number(process.env.PORT ?? 3000));
  narrator.say('demo', `the service is at ${origin}, its database in ${dataFolder}`);

  const wentWell = await play(app, twilio, narrator, origin);
  if (values.once || !wentWell) {
    await twilio.close();
    await app.close();
    process.exitCode = wentWell ? 0 : 1;
    return;
  }
  await invite(app.get(DataSource), narrator, origin, adminKey);
}

async function play(
  app: NestExpressApplication,
  twilio: TwilioSimulator,
  narrator: Narrator,
  origin: string,
): Promise<boolean> {
  const dataSource = app.get(DataSource);
  const text = 'Hello Ada, your appointment at Example Clinic is tomorrow at 10:00.';
  const message = await storeMessage(dataSource, await storeClinic(dataSource), text);
  narrator.title('A WhatsApp message that Meta will not deliver');
  narrateTwilio(twilio, narrator);
  narrator.start();
  const wentWell = await playJourney(
    twilio,
    dataSource,
    narrator,
    message,
    `${origin}${WEBHOOK_PATH}#rc=5&rp=all`,
  );
  await printRecord(dataSource, narrator, message.sid);
  narrator.print();
  narrator.print(
    wentWell
      ? '✔ The person did not get the WhatsApp message, and got one SMS with the same text.'
      : '✖ The SMS was not delivered in time.',
  );
  return wentWell;
}

async function invite(
  dataSource: DataSource,
  narrator: Narrator,
  origin: string,
  adminKey: string,
): Promise<void> {
  const [company] = await dataSource.query<{ id: string }[]>('select id from companies where name = $1', [
    clinic.name,
  ]);
  const companyId = company?.id ?? null;
  if (companyId !== null) {
    await storeHistory(dataSource, { companyId, statusCallbackUrl: `${origin}${WEBHOOK_PATH}` });
  }
  const another = await storeMessage(dataSource, companyId, 'Hello Bob, your results are ready.');
  const unassigned = await storeMessage(dataSource, null, 'Hello, this conversation belongs to no company.');
  const account = existsSync('.env')
    ? ` --account-sid ${demoAccount.sid} --auth-token ${demoAccount.authToken}`
    : '';
  const simulate = (sid: string) =>
    `  npm run simulate -- --url ${origin}${WEBHOOK_PATH}${account} --status failed --error-code 63049 --sid ${sid}`;
  narrator.title('Look at it');
  narrator.print(`Open ${origin}/dashboard in a browser, and sign in with this key of the demo:`);
  narrator.print(`  ${adminKey}`);
  narrator.print(
    'It shows the journey above, and two weeks of made-up messages; what happens now, it shows at once.',
  );
  narrator.title('Try it yourself, in another terminal');
  narrator.print('Another message fails, twice if you like; there is one SMS:');
  narrator.print(simulate(another.sid));
  narrator.print('A message that gets no SMS, and why:');
  narrator.print(simulate(unassigned.sid));
  narrator.print('\nCtrl-C ends the demo.\n');
}

try {
  await main();
} catch (error) {
  exitWithError(error);
}
