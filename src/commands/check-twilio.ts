import twilio from 'twilio';
import type { Env } from '../config/env.js';
import { maskNumber } from '../messages/phone-number.js';
import { ApiRequestClient } from '../twilio/api-request-client.js';
import { type Finding, ill, well } from './finding.js';

type TwilioEnv = Pick<
  Env,
  | 'TWILIO_ACCOUNT_SID'
  | 'TWILIO_AUTH_TOKEN'
  | 'TWILIO_SUBACCOUNTS'
  | 'TWILIO_API_BASE_URL'
  | 'TWILIO_PHONE_NUMBER_REMINDERS'
  | 'TWILIO_MESSAGING_SERVICE_SID'
>;

/** A configured account and its Twilio client. */
export interface AccountClient {
  readonly accountSid: string;
  /** The environment variable with its token. */
  readonly variable: 'TWILIO_AUTH_TOKEN' | 'TWILIO_SUBACCOUNTS';
  readonly client: twilio.Twilio;
}

/** Checks the credentials, the sender number and the Messaging Service. */
export async function* checkTwilio(env: TwilioEnv, callbackUrl: string | undefined): AsyncGenerator<Finding> {
  const accounts = accountClients(env);
  for (const account of accounts) yield await checkAccount(account);
  const [main] = accounts;
  yield await checkNumber(main.client, env);
  if (env.TWILIO_MESSAGING_SERVICE_SID !== undefined) {
    yield await checkService(main.client, env.TWILIO_MESSAGING_SERVICE_SID, callbackUrl);
  }
}

/** Lists a client per account, the main one first. */
export function accountClients(
  env: Pick<Env, 'TWILIO_ACCOUNT_SID' | 'TWILIO_AUTH_TOKEN' | 'TWILIO_SUBACCOUNTS' | 'TWILIO_API_BASE_URL'>,
): [AccountClient, ...AccountClient[]] {
  const clientOf = (accountSid: string, authToken: string, variable: AccountClient['variable']) => ({
    accountSid,
    variable,
    client: twilio(accountSid, authToken, {
      httpClient: new ApiRequestClient({ apiBaseUrl: env.TWILIO_API_BASE_URL }),
    }),
  });
  return [
    clientOf(env.TWILIO_ACCOUNT_SID, env.TWILIO_AUTH_TOKEN, 'TWILIO_AUTH_TOKEN'),
    ...env.TWILIO_SUBACCOUNTS.map(({ accountSid, authToken }) =>
      clientOf(accountSid, authToken, 'TWILIO_SUBACCOUNTS'),
    ),
  ];
}

async function checkAccount({ client, accountSid, variable }: AccountClient): Promise<Finding> {
  const check = 'twilio account';
  try {
    const { status } = await client.api.v2010.accounts(accountSid).fetch();
    if (status === 'active') return well(check, `${accountSid} is active, and its token is valid`);
    return ill(check, `${accountSid} is ${status}`, 'Ask Twilio’s support');
  } catch (error) {
    const rejected = error instanceof twilio.RestException && (error.status === 401 || error.status === 404);
    return rejected
      ? ill(
          check,
          `Twilio rejects the token of ${accountSid}`,
          `Correct ${variable}: Console → Account → API keys & tokens`,
        )
      : ill(
          check,
          `Twilio could not be queried: ${reasonOf(error)}`,
          'Let this host reach TWILIO_API_BASE_URL',
        );
  }
}

async function checkNumber(client: twilio.Twilio, env: TwilioEnv): Promise<Finding> {
  const check = 'sender number';
  const number = env.TWILIO_PHONE_NUMBER_REMINDERS;
  if (number === undefined) {
    return env.TWILIO_MESSAGING_SERVICE_SID === undefined
      ? ill(
          check,
          'TWILIO_PHONE_NUMBER_REMINDERS is not set: companies without their own number cannot send SMS',
          'Set it, or give each row of companies a phone_number',
        )
      : well(check, 'none is needed: SMS go through the Messaging Service');
  }
  try {
    const [found] = await client.incomingPhoneNumbers.list({ phoneNumber: number, limit: 1 });
    if (found === undefined) {
      return ill(
        check,
        `${maskNumber(number)} is not a number of the account`,
        'Set TWILIO_PHONE_NUMBER_REMINDERS to one of: Console → Phone Numbers',
      );
    }
    return found.capabilities.sms
      ? well(check, `${maskNumber(number)} belongs to the account and can send SMS`)
      : ill(check, `${maskNumber(number)} cannot send SMS`, 'Use another number, or enable SMS for it');
  } catch (error) {
    return ill(check, `Twilio could not be queried: ${reasonOf(error)}`, 'Fix the account first');
  }
}

async function checkService(
  client: twilio.Twilio,
  sid: string,
  callbackUrl: string | undefined,
): Promise<Finding> {
  const check = 'messaging service';
  try {
    const { statusCallback } = await client.messaging.v1.services(sid).fetch();
    // An empty one is null, contrary to the library's types.
    const [reported = ''] = ((statusCallback as string | null) ?? '').split('#', 1);
    if (callbackUrl === undefined)
      return ill(
        check,
        'its status callback cannot be checked, because the public URL is unknown',
        'Set PUBLIC_BASE_URL',
      );
    if (reported === callbackUrl) return well(check, `${sid} reports to this service`);
    return ill(
      check,
      `${sid} reports to ${reported === '' ? 'no URL' : reported}`,
      `Set its Delivery Status Callback to ${callbackUrl}#rc=5&rp=all`,
    );
  } catch (error) {
    return ill(
      check,
      `Twilio did not return ${sid}: ${reasonOf(error)}`,
      'Correct TWILIO_MESSAGING_SERVICE_SID',
    );
  }
}

/** The message of Twilio or of the network. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
