import { ConfigurableModuleBuilder } from '@nestjs/common';

export interface MessageEventsModuleOptions {
  /** The error codes that make an undelivered WhatsApp message a policy failure. Default 63049. */
  policyFailureErrorCodes?: readonly string[];
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<MessageEventsModuleOptions>().setClassMethodName('forRoot').build();
