import { ConfigurableModuleBuilder } from '@nestjs/common';

export interface StatusPollingModuleOptions {
  /** The account of messages without a callback so far: a row of `messages` does not name one. */
  accountSid: string;
  /**
   * How long a message may stay without a final status before Twilio is asked, in milliseconds; at least 20000. The
   * gaps between the polls double. Default ten minutes.
   */
  afterMilliseconds?: number;
  /** How long after a message's latest status Twilio is asked, in milliseconds. Default a day. */
  giveUpAfterMilliseconds?: number;
  /** How many requests this process has under way at a time. Default 5. */
  concurrency?: number;
  /** False: Twilio is never asked. Default true. */
  isEnabled?: boolean;
  /** How often to look for messages to ask about, in milliseconds. Default 15000. 0: only on `runOnce()`. */
  intervalMilliseconds?: number;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<StatusPollingModuleOptions>().setClassMethodName('forRoot').build();
