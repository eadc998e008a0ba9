import { parseArguments, UsageError } from './command-line.js';
import { accountsOf, localOrigin } from './environment.js';
import type { Environment } from './environment.js';
import { newMessageSid } from './message.js';

/** What `npm run simulate` was asked to do. */
export interface SimulateOptions {
  /** Where the request goes. */
  readonly url: string;
  /** The URL that the service believes it has been called at: the one that is signed. */
  readonly publicUrl: string;
  readonly accountSid: string;
  readonly authToken: string;
  readonly channel: 'whatsapp' | 'sms';
  readonly status: string;
  readonly errorCode?: number;
  readonly messageSid: string;
  readonly to: string;
  readonly from: string;
  /** How many times the callback is sent, one after the other. */
  readonly repeat: number;
}

export const usage = `Sends one signed status callback to a running service, as Twilio would.

  npm run simulate -- --status <status> [options]

  --status       queued, sent, delivered, undelivered, failed, read, …  (required)
  --error-code   e.g. 63049: WhatsApp would not deliver it
  --sid          the message's SID; default: a new one
  --to, --from   telephone numbers, with or without whatsapp:
  --channel      whatsapp (default) or sms
  --repeat       how many times, one after the other; default 1
  --url          where the service listens;
                 default http://localhost:PORT/api/webhooks/twilio/message-status
  --public-url   the URL that is signed, or its origin;
                 default: PUBLIC_BASE_URL with the path of --url, else --url
  --account-sid  default TWILIO_ACCOUNT_SID, else the demo account
  --auth-token   default TWILIO_AUTH_TOKEN, or the account's in TWILIO_SUBACCOUNTS

PORT, PUBLIC_BASE_URL and TWILIO_… come from the environment or from .env.
Example: npm run simulate -- --status undelivered --error-code 63049 --sid SM… --to whatsapp:+15550123456
`;

const flags = {
  status: { type: 'string' },
  'error-code': { type: 'string' },
  sid: { type: 'string' },
  to: { type: 'string' },
  from: { type: 'string' },
  channel: { type: 'string' },
  repeat: { type: 'string' },
  url: { type: 'string' },
  'public-url': { type: 'string' },
  'account-sid': { type: 'string' },
  'auth-token': { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

/**
 * @returns undefined where help was asked for
 * @throws {UsageError}
 */
export function readSimulateOptions(
  args: readonly string[],
  environment: Environment,
): SimulateOptions | undefined {
  const { values } = parseArguments({ args: [...args], options: flags });
  if (values.help === true) return undefined;
  if (values.status === undefined) throw new UsageError('--status is missing');
  const url = httpUrl(
    '--url',
    values.url ?? `${localOrigin(environment)}/api/webhooks/twilio/message-status`,
  );
  const channel = readChannel(values.channel, values.to);
  const errorCode = values['error-code'];
  return {
    url,
    publicUrl: publicUrlOf(url, values['public-url'] ?? environment['PUBLIC_BASE_URL']),
    ...readAccount(values['account-sid'], values['auth-token'], environment),
    channel,
    status: values.status,
    errorCode: errorCode === undefined ? undefined : wholeNumber('--error-code', errorCode),
    messageSid: values.sid ?? newMessageSid(),
    to: values.to ?? '+15550123456',
    // Twilio's WhatsApp sandbox, and its test number that always works.
    from: values.from ?? (channel === 'whatsapp' ? '+14155238886' : '+15005550006'),
    repeat: wholeNumber('--repeat', values.repeat ?? '1'),
  };
}

function readChannel(channel: string | undefined, to: string | undefined): SimulateOptions['channel'] {
  if (channel === undefined || channel === 'whatsapp') return 'whatsapp';
  if (channel !== 'sms') throw new UsageError(`--channel is whatsapp or sms, not ${channel}`);
  if (to?.startsWith('whatsapp:')) throw new UsageError('--channel sms does not go with --to whatsapp:…');
  return 'sms';
}

function readAccount(sid: string | undefined, token: string | undefined, environment: Environment) {
  const accounts = accountsOf(environment);
  const accountSid = sid ?? environment['TWILIO_ACCOUNT_SID'] ?? accounts.keys().next().value ?? '';
  const authToken = token ?? accounts.get(accountSid);
  if (authToken !== undefined) return { accountSid, authToken };
  throw new UsageError(`there is no token for ${accountSid}: name --auth-token, or set TWILIO_AUTH_TOKEN`);
}

/** `publicUrl` where it has a path; else its origin with the path and query of `url`. */
function publicUrlOf(url: string, publicUrl: string | undefined): string {
  if (publicUrl === undefined || publicUrl === '') return url;
  const base = httpUrl('--public-url or PUBLIC_BASE_URL', publicUrl);
  const { pathname, search, origin } = new URL(base);
  return pathname === '/' && search === '' ? origin + url.slice(new URL(url).origin.length) : base;
}

function httpUrl(name: string, text: string): string {
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return text;
  throw new UsageError(`${name} is not an http or https URL: ${text}`);
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value > 0) return value;
  throw new UsageError(`${name} is a whole number above 0, not ${text}`);
}
