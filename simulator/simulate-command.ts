import { STATUS_CODES } from 'node:http';
import { isNativeError } from 'node:util/types';
import { smsStatusParameters, whatsappStatusParameters } from './callback-parameters.js';
import { CallbackSender } from './callback-sender.js';
import type { Output } from './command-line.js';
import { demoAccount } from './demo-account.js';
import type { Environment } from './environment.js';
import { NoAnswerError } from './http-post.js';
import type { HttpAnswer } from './http-post.js';
import { readSimulateOptions } from './simulate-options.js';
import type { SimulateOptions } from './simulate-options.js';

/**
 * Sends the requested callbacks and prints the results. The token is never printed.
 * @returns the exit code: 0 if every callback was answered with 2xx
 * @throws {UsageError}
 */
export async function simulate(
  args: readonly string[],
  environment: Environment,
  { print }: Pick<Output, 'print'>,
): Promise<number> {
  const options = readSimulateOptions(args, environment);
  print(description(options));
  const sender = new CallbackSender({ rewriteUrl: () => options.url });
  let exitCode = 0;
  for (let number = 1; number <= options.repeat; number += 1) {
    const result = await sendOne(sender, options);
    const advice = adviceOn(result, options);
    if (advice !== undefined) exitCode = 1;
    print(`  answer   ${outcome(result)}${advice === undefined ? '' : `\n           ${advice}`}`);
  }
  sender.close();
  if (exitCode === 0) print(nextSteps(options, environment));
  return exitCode;
}

/** Says where to look next, since the answer to a callback says nothing about its SMS. */
function nextSteps(
  { url, messageSid, channel, status, errorCode }: SimulateOptions,
  environment: Environment,
): string {
  const fallback = channel === 'whatsapp' && /^(failed|undelivered)$/.test(status) && errorCode !== undefined;
  const steps: [what: string, how: string][] = [
    ['page', `${new URL(url).origin}/dashboard#/messages/${messageSid}  (needs a key in ADMIN_API_KEYS)`],
  ];
  // Only the running service can open the embedded database.
  if (fallback && environment['DATABASE_URL'])
    steps.unshift(['SMS', `npm run fallbacks -- show ${messageSid}`]);
  return ['Look at it next:', ...steps.map(([what, how]) => `  ${what.padEnd(9)}${how}`)].join('\n');
}

async function sendOne(
  sender: CallbackSender,
  options: SimulateOptions,
): Promise<HttpAnswer | NoAnswerError> {
  const build = options.channel === 'whatsapp' ? whatsappStatusParameters : smsStatusParameters;
  try {
    return await sender.send({
      // One request without retries.
      url: `${options.publicUrl}#rc=0`,
      parameters: build(options),
      authToken: options.authToken,
    });
  } catch (error) {
    if (error instanceof NoAnswerError) return error;
    throw error;
  }
}

function description(options: SimulateOptions): string {
  const demo = options.accountSid === demoAccount.sid ? ' (the demo account)' : '';
  const error = options.errorCode === undefined ? '' : `, error ${String(options.errorCode)}`;
  return [
    `${options.channel === 'sms' ? 'An SMS' : 'A WhatsApp'} status callback: ${options.status}${error}`,
    `  message  ${options.messageSid} to ${options.to}`,
    `  to       ${options.url}`,
    `  signed   for ${options.publicUrl}`,
    `           with the token of ${options.accountSid}${demo}`,
  ].join('\n');
}

function outcome(result: HttpAnswer | NoAnswerError): string {
  if (result instanceof NoAnswerError) return `none: ${result.message || codeOf(result)}`;
  const body = result.body === '' ? '' : `: ${result.body.slice(0, 500)}`;
  return `${String(result.status)} ${STATUS_CODES[result.status] ?? ''}${body}`;
}

/** Returns what to check next; undefined if all is well. */
function adviceOn(result: HttpAnswer | NoAnswerError, options: SimulateOptions): string | undefined {
  const { origin } = new URL(options.url);
  if (result instanceof NoAnswerError) {
    return codeOf(result) === 'ECONNREFUSED'
      ? `Nothing listens at ${origin}. Is the service running? Else name --url.`
      : `Is ${origin} the service? Its log may say more.`;
  }
  switch (result.status) {
    case 400:
      return 'The signature is right, but a field is missing or too long: the answer names it.';
    case 403:
      return [
        'The service does not take the signature. Compare what it runs with:',
        `TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN (of ${options.accountSid}),`,
        `and PUBLIC_BASE_URL: ${new URL(options.publicUrl).origin} was signed (--public-url changes it).`,
      ].join('\n           ');
    case 404:
      return `${origin} has no such path. Is --url right, and is it this service?`;
    case 415:
      return 'The service takes forms and JSON. Is something between here and there that changes Content-Type?';
    case 429:
      return `Too many wrong signatures from this address. Again in ${result.headers['retry-after'] ?? 'some'} s.`;
    case 503:
      return 'The service could not store it. Is its database running?';
    default:
      return result.status >= 200 && result.status < 300 ? undefined : 'Its log may say more.';
  }
}

/** Node's error code, e.g. ECONNREFUSED; for an error of several addresses, that of the first one. */
function codeOf(error: NoAnswerError): string {
  const { cause } = error;
  return isNativeError(cause) && 'code' in cause ? String(cause.code) : 'unknown';
}
