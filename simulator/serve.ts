import { EXIT_CODES, parseArguments, runProgram, type Output, UsageError } from './command-line.js';
import { accountsOf, localOrigin, readEnvironment } from './environment.js';
import { TwilioSimulator } from './twilio-simulator.js';

const usage = `Runs a fake Twilio to develop against: it prints each message it is sent, and sends back its callbacks.

  npm run simulator

  SIMULATOR_PORT     where it listens; default 4010
  PORT               where the service listens on this computer; default 3000
  PUBLIC_BASE_URL    the origin in callback URLs that stands for the service; default http://localhost:PORT
  TWILIO_…           the accounts that it knows; default: the demo account

They come from the environment or from .env. Ctrl-C ends it.
${EXIT_CODES}`;

await runProgram({ usage, run: serve });

async function serve(args: readonly string[], { print }: Output): Promise<number> {
  parseArguments({ args: [...args], options: {} });
  const environment = readEnvironment();
  const accounts = accountsOf(environment);
  const publicOrigin = environment['PUBLIC_BASE_URL'] ?? localOrigin(environment);
  const port = readPort(environment['SIMULATOR_PORT'] ?? '4010');
  const simulator = await start({
    accounts: Object.fromEntries(accounts),
    port,
    rewriteUrl: (url) => url.replace(publicOrigin, localOrigin(environment)),
  });
  print(`A fake Twilio. Run the service with TWILIO_API_BASE_URL=${simulator.baseUrl}`);
  print(`and TWILIO_ACCOUNT_SID=${[...accounts.keys()].join(' or ')} with its token.`);
  narrate(simulator, print);
  process.once('SIGINT', () => void simulator.close());
  return 0;
}

function narrate(simulator: TwilioSimulator, print: Output['print']): void {
  simulator.on('message', ({ sid, from, messagingServiceSid, to, body }) => {
    print(`${sid} ${from ?? messagingServiceSid ?? ''} → ${to}: ${body}`);
  });
  simulator.on('callback', ({ url, parameters, status, error }) => {
    const answer = status === undefined ? `no answer: ${error ?? ''}` : String(status);
    print(`${String(parameters['MessageSid'])} ${String(parameters['MessageStatus'])} → ${url} ${answer}`);
  });
}

async function start(options: Parameters<typeof TwilioSimulator.start>[0]): Promise<TwilioSimulator> {
  try {
    return await TwilioSimulator.start(options);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new Error(`Port ${options?.port} is in use. Stop what listens there, or set SIMULATOR_PORT.`, {
      cause: error,
    });
  }
}

function readPort(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new UsageError(`SIMULATOR_PORT is a port number from 0 to 65535, not ${text}`);
}
