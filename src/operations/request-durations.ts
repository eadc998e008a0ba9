import { Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { type IncomingMessage, ServerResponse } from 'node:http';
import { Histogram, type Registry } from 'prom-client';

/** The prefix of this service's own metrics. */
export const PREFIX = 'whatsapp_sms_fallback_';

/** Node's diagnostics channels for HTTP servers. */
const START = 'http.server.request.start';
const FINISH = 'http.server.response.finish';

/** The only values of the route label: paths contain SIDs, and strangers may request any path. */
const ROUTES: readonly (readonly [begin: string, route: string])[] = [
  ['/api/webhooks/twilio/message-status', 'webhook'],
  ['/api/', 'api'],
  ['/health/', 'health'],
  ['/metrics', 'metrics'],
  ['/dashboard', 'dashboard'],
];

/** Responses that last as long as a page is open. */
const STREAMS = '/dashboard/events';

const METHODS: ReadonlySet<string> = new Set(['GET', 'POST']);

/** Measures the duration of this application's requests without touching them. */
@Injectable()
export class RequestDurations {
  private readonly begins = new WeakMap<ServerResponse, bigint>();

  constructor(private readonly host: HttpAdapterHost) {}

  /** @returns a function that stops it. */
  observe(registry: Registry): () => void {
    const durations = new Histogram({
      name: `${PREFIX}http_request_duration_seconds`,
      help: 'Time from the headers of a request until its response was handed over',
      labelNames: ['route', 'method', 'status'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers: [registry],
    });
    const onStart = (event: unknown): void => {
      const response = this.ownResponse(event);
      if (response !== null) this.begins.set(response, process.hrtime.bigint());
    };
    const onFinish = (event: unknown): void => {
      const response = this.ownResponse(event);
      const begin = response === null ? undefined : this.begins.get(response);
      if (response === null || begin === undefined) return;
      const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
      durations.observe(labelsOf(response.req, response.statusCode), seconds);
    };
    subscribe(START, onStart);
    subscribe(FINISH, onFinish);
    return () => {
      unsubscribe(START, onStart);
      unsubscribe(FINISH, onFinish);
    };
  }

  /** Another server may listen in this process. */
  private ownResponse(event: unknown): ServerResponse | null {
    if (!isOfServer(event) || event.server !== this.host.httpAdapter.getHttpServer()) return null;
    const { response } = event;
    return response.req.url?.startsWith(STREAMS) === true ? null : response;
  }
}

/** Hand-written instead of a schema, because it runs twice per callback. */
function isOfServer(event: unknown): event is { response: ServerResponse; server: unknown } {
  if (typeof event !== 'object' || event === null || !('server' in event)) return false;
  return 'response' in event && event.response instanceof ServerResponse;
}

function labelsOf({ url = '', method = '' }: IncomingMessage, statusCode: number) {
  return {
    route: ROUTES.find(([begin]) => url.startsWith(begin))?.[1] ?? 'other',
    method: METHODS.has(method) ? method : 'other',
    status: String(statusCode),
  };
}
