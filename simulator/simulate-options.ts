import { isSmsSender, withoutChannel } from './addresses.js';
import { EXIT_CODES, parseArguments, UsageError } from './command-line.js';
import { accountsOf, localOrigin } from './environment.js';
import type { Environment } from './environment.js';
import { newMessageSid } from './message.js';

/**
 * The statuses that Twilio reports of an outbound message.
 * Source: https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks
 */
const STATUSES = [
  'accepted',
  'scheduled',
  'queued',
  'sending',
  'sent',
  'delivered',
  'read',
  'undelivered',
  'failed',
  'canceled',
] as const;

type Status = (typeof STATUSES)[number];

/** The options of `npm run simulate`. */
export interface SimulateOptions {
  /** The URL that the request is sent to. */
  readonly url: string;
  /** The URL that the service believes was called: the signed one. */
  readonly publicUrl: string;
  readonly accountSid: string;
  readonly authToken: string;
  readonly channel: 'whatsapp' | 'sms';
  readonly status: Status;
  readonly errorCode?: number;
  readonly messageSid: string;
  readonly to: string;
  readonly from: string;
  /** How many times the callback is sent, one after the other. */
  readonly repeat: number;
}

export const usage = `Sends one signed status callback to a running service, as Twilio would.

  npm run simulate -- --status <status> [options]

  --status       one of ${STATUSES.slice(0, 5).join(', ')},
                 ${STATUSES.slice(5).join(', ')}  (required)
  --error-code   e.g. 63049: WhatsApp would not deliver it
  --sid          the message's SID, SM or MM and 32 hexadecimal digits; default: a new one
  --to           a number such as +15550123456, or a WhatsApp user ID such as US.13491208655302741918,
                 with or without whatsapp:
  --from         a number, with or without whatsapp:; of an SMS also a short code or a name
  --channel      whatsapp (default) or sms
  --repeat       how many times, one after the other; default 1
  --url          where the service listens;
                 default http://localhost:PORT/api/webhooks/twilio/message-status
  --public-url   the URL that is signed, or its origin;
                 default: PUBLIC_BASE_URL with the path of --url, else --url
  --account-sid  default TWILIO_ACCOUNT_SID, else the demo account
  --auth-token   default TWILIO_AUTH_TOKEN, or the account's in TWILIO_SUBACCOUNTS

PORT, PUBLIC_BASE_URL and TWILIO_… come from the environment or from .env.
Example: npm run simulate -- --status undelivered --error-code 63049 --to whatsapp:+15550123456
${EXIT_CODES}`;

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
} as const;

/** @throws {UsageError} */
export function readSimulateOptions(args: readonly string[], environment: Environment): SimulateOptions {
  const { values } = parseArguments({ args: [...args], options: flags });
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
    status: readStatus(values.status),
    errorCode: errorCode === undefined ? undefined : wholeNumber('--error-code', errorCode),
    messageSid: values.sid === undefined ? newMessageSid() : readSid(values.sid),
    to: readRecipientAddress(channel, values.to ?? '+15550123456'),
    // Twilio's WhatsApp sandbox, and its test number that always works.
    from: readSender(channel, values.from ?? (channel === 'whatsapp' ? '+14155238886' : '+15005550006')),
    repeat: wholeNumber('--repeat', values.repeat ?? '1'),
  };
}

function readStatus(text: string | undefined): Status {
  const status = STATUSES.find((known) => known === text);
  if (status !== undefined) return status;
  if (text === undefined) throw new UsageError('--status is missing');
  throw new UsageError(`--status is one of ${STATUSES.join(', ')}, not ${text}`);
}

function readSid(text: string): string {
  if (/^(SM|MM)[0-9a-f]{32}$/.test(text)) return text;
  throw new UsageError(
    `--sid is SM or MM and 32 hexadecimal digits, as in messages.twilio_sid, not ${text}. Leave it out for a new one`,
  );
}

const NUMBER = /^\+[1-9]\d{6,14}$/;

/** WhatsApp's business-scoped user ID: `CC.…` or `CC.ENT.…`, letters and digits. */
const USER_ID = /^[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]+$/;

function readRecipientAddress(channel: SimulateOptions['channel'], text: string): string {
  const address = withoutPrefix(text);
  if (NUMBER.test(address) || (channel === 'whatsapp' && USER_ID.test(address))) return text;
  const userId = channel === 'whatsapp' ? ', or a WhatsApp user ID such as US.13491208655302741918' : '';
  throw new UsageError(`--to is a number with its country such as +15550123456${userId}, not ${text}`);
}

function readSender(channel: SimulateOptions['channel'], text: string): string {
  if (NUMBER.test(withoutPrefix(text))) return text;
  if (channel === 'sms' && isSmsSender(text)) return text;
  throw new UsageError(`--from is a number with its country such as +14155238886, not ${text}`);
}

function withoutPrefix(text: string): string {
  return text.startsWith('whatsapp:') ? withoutChannel(text) : text;
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

/** Returns `publicUrl` if it has a path; else its origin with the path and query of `url`. */
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
  if (/^\d{1,9}$/.test(text) && value > 0) return value;
  throw new UsageError(`${name} is a whole number above 0, not ${text}`);
}
