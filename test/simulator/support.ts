import type { IncomingHttpHeaders } from 'node:http';
import twilio from 'twilio';
import RequestClient from 'twilio/lib/base/RequestClient.js';
import { getSignatureAlgorithm, validateRequest } from 'twilio/lib/webhooks/webhooks.js';
import { demoAccount } from '../../simulator/demo-account.js';
import { parseForm } from '../../simulator/form-parameters.js';
import type { FormParameters } from '../../simulator/form-parameters.js';
import { LocalServer } from '../../simulator/local-server.js';

/** Sends what the real library would send to Twilio's hosts to a simulator. */
class RebasedRequestClient extends RequestClient {
  constructor(
    private readonly baseUrl: string,
    timeout: number,
  ) {
    super({ timeout });
  }

  override request<TData>(options: RequestClient.RequestOptions<TData>) {
    return super.request<TData>({
      ...options,
      uri: options.uri.replace(/^https:\/\/[a-z]+\.twilio\.com/, this.baseUrl),
    });
  }
}

/** The real client of Twilio's library, talking to the simulator as the demo account unless told otherwise. */
export function clientOf(
  simulator: { readonly baseUrl: string },
  { sid, authToken }: { readonly sid: string; readonly authToken: string } = demoAccount,
  timeoutMilliseconds = 30_000,
) {
  return twilio(sid, authToken, {
    httpClient: new RebasedRequestClient(simulator.baseUrl, timeoutMilliseconds),
  });
}

export interface Received {
  /** The request target exactly as it arrived. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly parameters: FormParameters;
}

/** A stand-in for the service: remembers each request, and answers 204 unless it is given other statuses. */
export class Receiver {
  readonly received: Received[] = [];
  /** The statuses of the next answers; `reset` breaks the connection, `hang` never answers. */
  readonly nextAnswers: (number | 'reset' | 'hang')[] = [];
  /** Called for each request before it is answered. */
  beforeAnswer: () => Promise<void> = () => Promise.resolve();

  private constructor(private server?: LocalServer) {}

  static async start(): Promise<Receiver> {
    const receiver = new Receiver();
    receiver.server = await LocalServer.start(
      (request, response) => {
        const chunks: Buffer[] = [];
        request.on('data', (chunk: Buffer) => chunks.push(chunk));
        request.on('end', () => {
          const body = Buffer.concat(chunks).toString();
          const { url: target = '', headers } = request;
          receiver.received.push({ target, headers, body, parameters: parseForm(body) });
          const answer = receiver.nextAnswers.shift() ?? 204;
          void receiver.beforeAnswer().then(() => {
            if (answer === 'reset') response.socket?.resetAndDestroy();
            else if (answer !== 'hang') response.writeHead(answer).end();
          });
        });
      },
      '127.0.0.1',
      0,
    );
    return receiver;
  }

  get url(): string {
    return `${this.server?.baseUrl ?? ''}/callbacks`;
  }

  get statuses(): unknown[] {
    return this.received.map(({ parameters }) => parameters['MessageStatus']);
  }

  async close(): Promise<void> {
    await this.server?.close();
  }
}

/** What the library's own check says of a request that was signed for this URL, by the algorithm that it names. */
export function isSigned(
  received: Received,
  publicUrl: string,
  authToken: string = demoAccount.authToken,
): boolean {
  const signature = received.headers['x-twilio-signature'];
  const algorithm = getSignatureAlgorithm(signatureSettings(received));
  return validateRequest(authToken, String(signature), publicUrl, received.parameters, algorithm);
}

/** The header that names a shared key. */
export function signatureSettings({ headers }: Received): string | undefined {
  const settings = headers['x-twilio-webhooks-signature-settings'];
  return typeof settings === 'string' ? settings : undefined;
}
