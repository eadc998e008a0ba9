import { ConfigurableModuleBuilder } from '@nestjs/common';

export interface TwilioAccount {
  readonly accountSid: string;
  /** The primary token comes first: it signs and is used for calls. Others are accepted in signatures, for rotation. */
  readonly authTokens: readonly [string, ...string[]];
}

/** A SharedKey from Twilio's webhook configuration API. */
export interface WebhookSharedKey {
  /** `webhooks_sharedkey_…`, as Twilio names it in the header of a callback. */
  readonly keyId: string;
  readonly secret: string;
}

export interface TwilioModuleOptions {
  /** Only callbacks of these accounts are accepted. */
  readonly accounts: readonly TwilioAccount[];
  /** Shared keys that callbacks may name; several, for rotation. Default: none. */
  readonly webhookSharedKeys?: readonly WebhookSharedKey[];
  /** The base URL of the Messages API. Default https://api.twilio.com. */
  readonly apiBaseUrl?: string;
  /** How long a call may take, in milliseconds. Default 10000. */
  readonly timeoutMilliseconds?: number;
  /** How long requests of an account must fail to count as an outage, in milliseconds. Default 60000. */
  readonly outageAfterMilliseconds?: number;
  /** How often to look for outages, to log them, in milliseconds. Default 5000. 0: never. */
  readonly intervalMilliseconds?: number;
  /** How long after its last request a failing account is tried again, in milliseconds. Default 20000. */
  readonly askAgainAfterMilliseconds?: number;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<TwilioModuleOptions>().setClassMethodName('forRoot').build();
