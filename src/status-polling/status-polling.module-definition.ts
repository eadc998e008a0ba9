import { ConfigurableModuleBuilder } from '@nestjs/common';

export interface StatusPollingModuleOptions {
  /** The account of messages that no callback has come for yet: a row of `messages` names none. */
  accountSid: string;
  /**
   * How long a message's latest status may be no final one before Twilio is asked, in milliseconds; 20000 at the
   * least. The gaps between the questions double. Default ten minutes.
   */
  afterMilliseconds?: number;
  /** For how long after a message's latest status Twilio is asked, in milliseconds. Default a day. */
  giveUpAfterMilliseconds?: number;
  /** How many requests this process has under way at a time. Default 5. */
  concurrency?: number;
  /** How often to look for messages to ask about, in milliseconds. Default 15000. 0: only on `runOnce()`. */
  intervalMilliseconds?: number;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<StatusPollingModuleOptions>().setClassMethodName('forRoot').build();
