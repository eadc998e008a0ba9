import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { isNativeError } from 'node:util/types';
import type { CallbackFailure } from './connection-overrides.js';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/**
 * No answer came: there was no connection (`ct`), or the answer was late or broken (`rt`). `cause` has Node's error.
 */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError';
  constructor(
    readonly failure: Extract<CallbackFailure, 'ct' | 'rt'>,
    cause: unknown,
  ) {
    super(isNativeError(cause) ? cause.message : String(cause), { cause });
  }
}

export interface HttpPost {
  /** The request target is sent exactly as it is written here. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly connectTimeoutMilliseconds: number;
  readonly readTimeoutMilliseconds: number;
  /** Ends the request at any stage. */
  readonly signal: AbortSignal;
  readonly agent: ConnectionPool;
}

/** Keeps connections open between requests, or opens one for each (the default). */
export class ConnectionPool {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
  constructor(keepAlive: boolean) {
    this.http = new HttpAgent({ keepAlive });
    this.https = new HttpsAgent({ keepAlive });
  }
  close(): void {
    this.http.destroy();
    this.https.destroy();
  }
}

/** @throws {NoAnswerError} */
export async function post(request: HttpPost): Promise<HttpAnswer> {
  let timer: NodeJS.Timeout | undefined;
  const sent = new Promise<HttpAnswer>((resolve, reject) => {
    let failure: NoAnswerError['failure'] = 'ct';
    const fail = (cause: unknown): void => {
      reject(new NoAnswerError(failure, cause));
    };
    const outgoing = open(request, (incoming) => {
      readText(incoming).then((body) => {
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body });
      }, fail);
    });
    const limit = (milliseconds: number, what: string): void => {
      clearTimeout(timer);
      timer = setTimeout(() => outgoing.destroy(new Error(what)), milliseconds);
    };
    const connected = (): void => {
      failure = 'rt';
      limit(request.readTimeoutMilliseconds, 'no answer in time');
    };
    limit(request.connectTimeoutMilliseconds, 'no connection in time');
    outgoing.on('error', fail);
    outgoing.on('socket', (socket) => {
      if (socket.connecting) socket.once(isSecure(request) ? 'secureConnect' : 'connect', connected);
      else connected();
    });
    outgoing.end(request.body);
  });
  try {
    return await sent;
  } finally {
    clearTimeout(timer);
  }
}

function open(request: HttpPost, onAnswer: (incoming: IncomingMessage) => void) {
  const { url, headers, signal, agent } = request;
  const options = {
    method: 'POST',
    // Node's URL would re-encode some characters of the query; the signature covers them as they are written.
    path: url.replace(/^https?:\/\/[^/?#]*/i, '') || '/',
    headers,
    signal,
    agent: isSecure(request) ? agent.https : agent.http,
  };
  return isSecure(request) ? httpsRequest(url, options, onAnswer) : httpRequest(url, options, onAnswer);
}

function isSecure(request: HttpPost): boolean {
  return request.url.startsWith('https:');
}

async function readText(incoming: IncomingMessage): Promise<string> {
  let text = '';
  incoming.setEncoding('utf8');
  for await (const chunk of incoming) text += String(chunk);
  return text;
}
