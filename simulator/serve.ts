import { accountsOf, localOrigin, readEnvironment } from './environment.js';
import { TwilioSimulator } from './twilio-simulator.js';

// A fake Twilio to develop against: it prints each message it is sent, and sends back its callbacks.
const environment = readEnvironment();
const accounts = accountsOf(environment);
const publicOrigin = environment['PUBLIC_BASE_URL'] ?? localOrigin(environment);
const simulator = await TwilioSimulator.start({
  accounts: Object.fromEntries(accounts),
  port: Number(environment['SIMULATOR_PORT'] ?? '4010'),
  rewriteUrl: (url) => url.replace(publicOrigin, localOrigin(environment)),
});

console.log(`A fake Twilio. Run the service with TWILIO_API_BASE_URL=${simulator.baseUrl}`);
console.log(`and TWILIO_ACCOUNT_SID=${[...accounts.keys()].join(' or ')} with its token.`);
simulator.on('message', (message) => {
  console.log(
    `${message.sid} ${message.from ?? message.messagingServiceSid ?? ''} → ${message.to}: ${message.body}`,
  );
});
simulator.on('callback', ({ url, parameters, status, error }) => {
  const answer = status === undefined ? `no answer: ${error ?? ''}` : String(status);
  console.log(
    `${String(parameters['MessageSid'])} ${String(parameters['MessageStatus'])} → ${url} ${answer}`,
  );
});
process.once('SIGINT', () => void simulator.close());
