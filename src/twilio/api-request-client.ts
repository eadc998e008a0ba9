import twilio from 'twilio';
import { type AccountFailure, failureOfAnswer, failureOfError } from './outage-reasons.js';
import type { TwilioModuleOptions } from './twilio.module-definition.js';

/** A longer wait would be an error in the header. */
const LONGEST_RETRY_AFTER_SECONDS = 3_600;

/** Idle connections that are kept for as long as a request may take. */
const KEPT_CONNECTIONS = 256;

const TWILIO_API = 'https://api.twilio.com';

/** Twilio's other products, such as messaging.twilio.com, have hosts of their own. */
const TWILIO_HOST = /^https:\/\/[a-z0-9.-]+\.twilio\.com(?=\/|$)/;

/** The purpose of a request. One kind may fail while the others succeed: a suspended account can still be read. */
export type Operation = 'send' | 'read' | 'templates';

/** @param failure null if Twilio accepts the account's requests. */
export type Observer = (operation: Operation, failure: AccountFailure | null) => void;

type Request<Data> = Parameters<typeof twilio.RequestClient.prototype.request<Data>>[0];
type Response<Data> = Awaited<ReturnType<typeof twilio.RequestClient.prototype.request<Data>>>;

/** URLs that name neither a message nor a template, so that a 404 is about the account. */
const ADDRESS_OF_ACCOUNT = /\/Accounts\/[^/]+(\/[A-Za-z]+)?\.json$/;

/** Twilio's HTTP client with a configurable base URL and timeout, and with the Retry-After of a 429. */
export class ApiRequestClient extends twilio.RequestClient {
  /** @param observe receives what each request says about the account. */
  constructor(
    {
      apiBaseUrl = TWILIO_API,
      timeoutMilliseconds = 10_000,
    }: Pick<TwilioModuleOptions, 'apiBaseUrl' | 'timeoutMilliseconds'>,
    private readonly observe: Observer = () => undefined,
  ) {
    // With the library's limit of twenty connections, a waiting request would time out unsent, and its caller could not
    // tell. The callers limit their own concurrency.
    // It keeps only five idle connections by default, so that most requests of a storm would need a new one.
    super({
      timeout: timeoutMilliseconds,
      maxSockets: Infinity,
      maxTotalSockets: Infinity,
      maxFreeSockets: KEPT_CONNECTIONS,
    });
    // If the API is not Twilio's, no request goes to Twilio.
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

  override async request<Data>(options: Request<Data>): Promise<Response<Data>> {
    const operation = operationOf(options);
    const isOfOneItem = !ADDRESS_OF_ACCOUNT.test(options.uri);
    try {
      const response = await super.request(options);
      const { statusCode: status, body } = response;
      this.tell(operation, failureOfAnswer({ status, body, isOfOneItem, retryAfterSeconds: null }));
      return response;
    } catch (error) {
      this.tell(
        operation,
        error instanceof TwilioRateLimitedError ? failureOf(error) : failureOfError(error),
      );
      throw error;
    }
  }

  private tell(operation: Operation, failure: AccountFailure | null | undefined): void {
    if (failure !== undefined) this.observe(operation, failure);
  }
}

function operationOf({ method, uri }: Pick<Request<unknown>, 'method' | 'uri'>): Operation {
  if (uri.startsWith('https://content.')) return 'templates';
  return method.toLowerCase() === 'post' ? 'send' : 'read';
}

function failureOf({ code, retryAfterSeconds }: TwilioRateLimitedError): AccountFailure | null | undefined {
  return failureOfAnswer({
    status: 429,
    body: { code: Number(code) },
    isOfOneItem: false,
    retryAfterSeconds,
  });
}

/** HTTP 429: Twilio did not process the request. The library's own error omits Retry-After. */
export class TwilioRateLimitedError extends Error {
  override readonly name = 'TwilioRateLimitedError';

  /** @param code Twilio's error code: 20429 means too many requests in all, 21611 a full queue of one sender. */
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
