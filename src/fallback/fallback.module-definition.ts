import { ConfigurableModuleBuilder } from '@nestjs/common';

export interface FallbackModuleOptions {
  /** The sender of an SMS for a company without a number of its own, in E.164. */
  defaultFrom?: string;
  /** SMS of this account are sent through its Messaging Service instead of a number. */
  messagingService?: { readonly accountSid: string; readonly sid: string };
  /** The URL to which Twilio reports the statuses of the SMS. Default: the URL that reported the policy failure. */
  statusCallbackUrl?: string;
  /** The URL of the webhook, for a policy failure that was not reported there. */
  webhookUrl?: string;
  /**
   * The maximum age of an original when its SMS is sent, in milliseconds since the original was sent. Default 14400000,
   * four hours.
   */
  maximumAgeMilliseconds?: number;
  /** How long to wait for a late delivery by WhatsApp before the first attempt, in milliseconds. Default 0. */
  holdMilliseconds?: number;
  /**
   * The second of two SMS with the same text for the same person is skipped within this time, in milliseconds. Default
   * 0: both are sent.
   */
  duplicateWindowMilliseconds?: number;
  /**
   * Which text wins: the application's or Twilio's. Default `messages`. The other one is used if the first is missing.
   */
  originalText?: 'messages' | 'twilio';
  /** How long to wait before another attempt if an SMS was never sent, in milliseconds. Default 10000. */
  resendDelayMilliseconds?: number;
  /**
   * How long Twilio tries to deliver the SMS at the most, in seconds, from 1 to 36000. Default 14400, four hours; less
   * if the original becomes too old before.
   */
  validityPeriodSeconds?: number;
  /**
   * SMS per second of each sender, e.g. 0.5, across all replicas; or by sender: its number in E.164 or the SID of its
   * Messaging Service, and `default` for the others. Default: no limit, and so is 0.
   */
  smsPerSecond?: number | Readonly<Record<string, number>>;
  /** How long to wait for the application to store the original message, in milliseconds. Default 300000. */
  originalMessageWaitMilliseconds?: number;
  /**
   * How long to look for an SMS whose sending was not answered, before it is sent again, in milliseconds. It must be
   * longer than Twilio takes to list a message. Default 30000.
   */
  settlingMilliseconds?: number;
  /**
   * How long after its original was sent a failure counts as late, in milliseconds: then an SMS may have been sent that
   * the database has forgotten. Default 60000.
   */
  lateFailureMilliseconds?: number;
  /**
   * How long Twilio may be unreachable before the fallback fails, in milliseconds. Default four hours, or
   * `maximumAgeMilliseconds` if that is longer.
   */
  giveUpAfterMilliseconds?: number;
  /** How many requests for an SMS this process makes to Twilio at once. Default 10. */
  smsAtOnce?: number;
  /**
   * How often stalled fallbacks are looked for, in milliseconds. Default 60000. 0: never automatically.
   */
  intervalMilliseconds?: number;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<FallbackModuleOptions>().setClassMethodName('forRoot').build();
