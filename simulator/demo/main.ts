import type { NestExpressApplication } from '@nestjs/platform-express';
import { randomBytes } from 'node:crypto';
import { Command, InvalidArgumentError } from 'commander';
import { existsSync } from 'node:fs';
import type { DataSource } from 'typeorm';
import { execute, runProgram, type End } from '../../src/process/command-line.js';
import { DATA_SOURCE_TOKEN } from '../../src/process/inject-database.js';
import { paced, delivered } from '../callback-plan.js';
import { demoAccount } from '../demo-account.js';
import { TwilioSimulator } from '../twilio-simulator.js';
import { clinic, storeClinic, storeMessage } from './clinic.js';
import { storeHistory } from './history.js';
import { narrateTwilio, playJourney, printRecord } from './journey.js';
import { Narrator } from './narrator.js';
import { listen, startService, temporaryFolder, WEBHOOK_PATH } from './service.js';

interface DemoOptions {
  readonly once: boolean;
  readonly port: number;
}

function program(end: End): Command {
  return new Command('npm run demo --')
    .description(
      'Shows the whole main job with an embedded PostgreSQL and a fake Twilio: a WhatsApp message that Meta will not ' +
        'deliver, and its SMS. Then it stays up for the page and for callbacks of your own; Ctrl-C ends it.',
    )
    .option('--once', 'end after the journey', false)
    .option('--port <port>', 'where the service listens; default: PORT, or 3000', readPort)
    .addHelpText(
      'after',
      '\nExit codes: 0 done, and the SMS was delivered; 1 it was not, or something is wrong; 2 wrong usage.',
    )
    .action(async ({ once, port }: Partial<DemoOptions> & { once: boolean }) => {
      end((await demo({ once, port: port ?? readPort(process.env.PORT || '3000') })) ? 0 : 1);
    });
}

function readPort(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new InvalidArgumentError('Give a port number from 0 to 65535.');
}

/** @returns whether the SMS was delivered. */
async function demo({ once, port }: DemoOptions): Promise<boolean> {
  const narrator = new Narrator();
  narrator.title('whatsapp-sms-fallback: the service, an embedded PostgreSQL and a fake Twilio');
  const dataFolder = temporaryFolder();
  const twilio = await TwilioSimulator.start({ callbackPlan: paced(delivered, 500) });
  narrator.say('demo', `the fake Twilio is at ${twilio.baseUrl}`);
  narrator.say('demo', 'starting an embedded PostgreSQL and the service; that takes some seconds');
  const adminKey = randomBytes(18).toString('hex');
  const app = await startService({ dataFolder, twilio, narrator, adminKey });
  const origin = await listen(app, once ? 0 : port);
  narrator.say('demo', `the service is at ${origin}, its database in ${dataFolder}`);

  const wentWell = await play(app, twilio, narrator, origin);
  if (once || !wentWell) {
    await twilio.close();
    await app.close();
  } else {
    await invite(app.get<DataSource>(DATA_SOURCE_TOKEN), narrator, origin, adminKey);
  }
  return wentWell;
}

async function play(
  app: NestExpressApplication,
  twilio: TwilioSimulator,
  narrator: Narrator,
  origin: string,
): Promise<boolean> {
  const dataSource = app.get<DataSource>(DATA_SOURCE_TOKEN);
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

await runProgram((args, terminal) => execute(program, args, terminal));
