import { ConfigurableModuleBuilder } from '@nestjs/common';

export interface FallbackModuleOptions {
  /** The sender of an SMS for a company without a number of its own, in E.164. */
  defaultFrom?: string;
  /** SMS of this account are sent through its Messaging Service instead of a number. */
  messagingService?: { readonly accountSid: string; readonly sid: string };
  /**
   * Where Twilio reports the statuses of the SMS. Where it is left out, at the URL that reported the policy failure.
   */
  statusCallbackUrl?: string;
  /** How long Twilio tries to deliver the SMS, in seconds, from 1 to 36000. Default 14400, four hours. */
  validityPeriodSeconds?: number;
  /** How long to wait for the application to store the original message, in milliseconds. Default 300000. */
  originalMessageWaitMilliseconds?: number;
  /**
   * How long to look for an SMS whose sending was not answered, before it is sent again, in milliseconds. It must be
   * longer than Twilio takes to list a message. Default 30000.
   */
  settlingMilliseconds?: number;
  /** How long Twilio may be out of reach before the fallback has failed, in milliseconds. Default four hours. */
  giveUpAfterMilliseconds?: number;
  /**
   * How often stalled fallbacks and late deliveries of WhatsApp are looked for, in milliseconds. Default 60000. 0: never
   * of its own accord.
   */
  intervalMilliseconds?: number;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<FallbackModuleOptions>().setClassMethodName('forRoot').build();
