import { ConfigurableModuleBuilder } from '@nestjs/common';

export interface TwilioAccount {
  readonly accountSid: string;
  /** The primary token first: it signs and it calls. Any other is accepted in signatures, for a rotation. */
  readonly authTokens: readonly [string, ...string[]];
}

/** A SharedKey of Twilio's webhook configuration API. */
export interface WebhookSharedKey {
  /** `webhooks_sharedkey_…`, as Twilio names it in the header of a callback. */
  readonly keyId: string;
  readonly secret: string;
}

export interface TwilioModuleOptions {
  /** Callbacks of these accounts are accepted, of no others. */
  readonly accounts: readonly TwilioAccount[];
  /** Accepted in callbacks that name one of them; several, for a rotation. Default none. */
  readonly webhookSharedKeys?: readonly WebhookSharedKey[];
  /** Where the Messages API is. Default https://api.twilio.com. */
  readonly apiBaseUrl?: string;
  /** How long a call may take, in milliseconds. Default 10000. */
  readonly timeoutMilliseconds?: number;
  /** For how long requests of an account must fail to be an outage, in milliseconds. Default 60000. */
  readonly outageAfterMilliseconds?: number;
  /** How often outages are looked for, to tell of them in the log, in milliseconds. Default 5000. 0: never by itself. */
  readonly intervalMilliseconds?: number;
  /** After how long without a request a failing account is asked again, in milliseconds. Default 20000. */
  readonly askAgainAfterMilliseconds?: number;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<TwilioModuleOptions>().setClassMethodName('forRoot').build();
