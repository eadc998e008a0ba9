import {
  Get,
  Header,
  Injectable,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  UseGuards,
} from '@nestjs/common';
import { HttpAdapterHost, ModulesContainer } from '@nestjs/core';
import { ApiExcludeController } from '@nestjs/swagger';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { type IncomingMessage, ServerResponse } from 'node:http';
import { collectDefaultMetrics, Counter, Histogram, prometheusContentType, Registry } from 'prom-client';
import { STATUSES_BY_RANK } from '../messages/message-status.js';
import { onMeasured } from '../process/measurements.js';
import { ROUTE_NAME, type RouteName, ServiceController } from '../process/service-controller.js';
import { AdminKeyGuard } from './admin-access.js';
import { AdminKeys } from './admin-keys.js';
import { DatabaseMetrics, PREFIX } from './database-metrics.js';

/** Node's diagnostics channels for HTTP servers. */
const START = 'http.server.request.start';
const FINISH = 'http.server.response.finish';

const METHODS: ReadonlySet<string> = new Set(['GET', 'POST']);

/** Measures the duration of this application's requests without touching them. */
@Injectable()
export class RequestDurations {
  private readonly begins = new WeakMap<ServerResponse, bigint>();
  private readonly names = new Map<string, RouteName | 'other'>();

  constructor(
    private readonly host: HttpAdapterHost,
    private readonly modules: ModulesContainer,
  ) {}

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
      const route = this.routeOf(response.req);
      // It lasts as long as a page is open.
      if (route === 'stream') return;
      const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
      const { method = '' } = response.req;
      durations.observe(
        { route, method: METHODS.has(method) ? method : 'other', status: String(response.statusCode) },
        seconds,
      );
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
    return event.response;
  }

  /**
   * The only values of the route label: paths contain SIDs, and strangers may request any path. Express's pattern of the
   * route also has the prefix that the application gave it.
   */
  private routeOf({ route }: RoutedRequest): RouteName | 'other' {
    const pattern = route?.path;
    if (typeof pattern !== 'string') return 'other';
    let name = this.names.get(pattern);
    if (name === undefined) this.names.set(pattern, (name = this.nameOf(pattern)));
    return name;
  }

  private nameOf(pattern: string): RouteName | 'other' {
    const controllers = [...this.modules.values()].flatMap((module) => [...module.controllers.values()]);
    const begins = controllers.flatMap(({ metatype }): (readonly [string, RouteName])[] => {
      if (typeof metatype !== 'function') return [];
      const name = Reflect.getMetadata(ROUTE_NAME, metatype) as RouteName | undefined;
      return name === undefined ? [] : [[String(Reflect.getMetadata('path', metatype)), name]];
    });
    const [longest] = [...begins, API_DOCS]
      .filter(([path]) => `${pattern}/`.includes(`/${path}/`))
      .toSorted(([one], [other]) => other.length - one.length);
    return longest?.[1] ?? 'other';
  }
}

/** Swagger registers its routes without a controller. */
const API_DOCS = ['api/docs', 'api'] as const;

interface RoutedRequest extends IncomingMessage {
  /** Set by Express, once a route matches. */
  readonly route?: { readonly path?: unknown };
}

/** Hand-written instead of a schema, because it runs twice per callback. */
function isOfServer(event: unknown): event is { response: ServerResponse; server: unknown } {
  if (typeof event !== 'object' || event === null || !('server' in event)) return false;
  return 'response' in event && event.response instanceof ServerResponse;
}

/** Bounds a label's values, because callers can send any. */
const CHANNELS: ReadonlySet<string> = new Set(['whatsapp', 'sms', 'rcs', 'messenger']);
const STATUSES: ReadonlySet<string> = new Set(STATUSES_BY_RANK);

/** Collects this process's measurements into metrics. Measures nothing if no key gives access to them. */
@Injectable()
export class Metrics implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly registry = new Registry();
  private listening: readonly (() => void)[] = [];

  private readonly callbacks = new Counter({
    name: `${PREFIX}callbacks_total`,
    help: 'Requests to the webhook: stored, repeated, rejected (400), refused (403, 429), not_stored (503)',
    labelNames: ['channel', 'status', 'result'],
    registers: [this.registry],
  });

  private readonly commits = new Histogram({
    name: `${PREFIX}commit_events`,
    help: 'Events that went into one commit',
    buckets: [1, 2, 5, 10, 25, 50, 100, 250],
    registers: [this.registry],
  });

  private readonly fallbacks = new Counter({
    name: `${PREFIX}fallbacks_ended_total`,
    help: 'Fallbacks that ended: sent, skipped or failed, and why',
    labelNames: ['state', 'reason'],
    registers: [this.registry],
  });

  private readonly timeToSms = new Histogram({
    name: `${PREFIX}callback_to_sms_seconds`,
    help: 'From the callback of a policy failure until its SMS was accepted',
    buckets: [0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 14_400],
    registers: [this.registry],
  });

  constructor(
    private readonly keys: AdminKeys,
    private readonly database: DatabaseMetrics,
    private readonly requests: RequestDurations,
  ) {}

  onApplicationBootstrap(): void {
    if (!this.keys.areConfigured) return;
    collectDefaultMetrics({ register: this.registry });
    this.database.register(this.registry);
    this.listening = [
      this.requests.observe(this.registry),
      onMeasured('callback.answered', ({ channel, status, result }) => {
        this.callbacks.inc({
          channel: labelOf(channel, CHANNELS),
          status: labelOf(status, STATUSES),
          result,
        });
      }),
      onMeasured('events.committed', ({ events }) => {
        this.commits.observe(events);
      }),
      onMeasured('sms_fallback.ended', ({ state, reason, secondsFromCallback }) => {
        this.fallbacks.inc({ state, reason: reason ?? '' });
        if (secondsFromCallback !== null) this.timeToSms.observe(secondsFromCallback);
      }),
    ];
  }

  onApplicationShutdown(): void {
    for (const end of this.listening) end();
  }

  /** Returns the metrics in Prometheus' text format. */
  async expose(): Promise<string> {
    await this.database.refresh();
    return this.registry.metrics();
  }
}

function labelOf(value: string | null, known: ReadonlySet<string>): string {
  if (value === null) return '';
  return known.has(value) ? value : 'other';
}

@UseGuards(AdminKeyGuard)
@ApiExcludeController()
@ServiceController('metrics', 'metrics')
export class MetricsController {
  constructor(private readonly metrics: Metrics) {}

  /** Serves Prometheus, which sends the key as `authorization` of its scrape config. */
  @Get()
  @Header('Content-Type', prometheusContentType)
  expose() {
    return this.metrics.expose();
  }
}
