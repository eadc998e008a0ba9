import twilio from 'twilio';
import type { TwilioModuleOptions } from './twilio.module-definition.js';

/** A longer wait would be a fault of the header's. */
const LONGEST_RETRY_AFTER_SECONDS = 3_600;

const TWILIO_API = 'https://api.twilio.com';

/** Twilio's other products, such as messaging.twilio.com, have hosts of their own. */
const TWILIO_HOST = /^https:\/\/[a-z0-9.-]+\.twilio\.com(?=\/|$)/;

/** Twilio's HTTP client with a base URL and a timeout of our choice, and with the Retry-After of a 429. */
export class ApiRequestClient extends twilio.RequestClient {
  constructor({
    apiBaseUrl = TWILIO_API,
    timeoutMilliseconds = 10_000,
  }: Pick<TwilioModuleOptions, 'apiBaseUrl' | 'timeoutMilliseconds'>) {
    // A request that waited for one of the library's twenty connections would time out without having been sent, and
    // whoever made it would not know that. Those who make them are bounded.
    super({ timeout: timeoutMilliseconds, maxSockets: Infinity, maxTotalSockets: Infinity });
    // Where the API is not Twilio's, nothing goes to Twilio.
    const replaced = TWILIO_HOST.test(apiBaseUrl) ? TWILIO_API : TWILIO_HOST;
    this.axios.interceptors.request.use((request) => {
      request.url = request.url?.replace(replaced, apiBaseUrl);
      return request;
    });
    this.axios.interceptors.response.use((response) => {
      if (response.status !== 429) return response;
      const { code } = new twilio.RestException({ statusCode: 429, body: response.data as unknown });
      throw new TwilioRateLimitedError(seconds(response.headers['retry-after']), code?.toString());
    });
  }
}

/** HTTP 429: Twilio did not process the request. The library's own error leaves out Retry-After. */
export class TwilioRateLimitedError extends Error {
  override readonly name = 'TwilioRateLimitedError';

  /** @param code Twilio's: 20429 is too many requests in all, 21611 a full queue of one sender. */
  constructor(
    readonly retryAfterSeconds: number | null,
    readonly code = '20429',
  ) {
    super('Twilio answered 429, too many requests');
  }
}

function seconds(header: unknown): number | null {
  const value = Number(header);
  return value > 0 ? Math.min(value, LONGEST_RETRY_AFTER_SECONDS) : null;
}
