import { ConfigurableModuleBuilder } from '@nestjs/common';

export interface WebhooksModuleOptions {
  /**
   * The origin that Twilio calls, without a slash at its end, e.g. `https://hooks.example.com`. Default: the origin of
   * the request, with the forwarded headers if Express trusts the proxy.
   */
  publicBaseUrl?: string;
  /** How many refused requests of one address are answered 403 and logged within a minute; then 429. Default 10. */
  refusalsPerMinute?: number;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<WebhooksModuleOptions>().setClassMethodName('forRoot').build();
