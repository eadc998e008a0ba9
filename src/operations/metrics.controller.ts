import {
  Controller,
  Get,
  Header,
  Injectable,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  UseGuards,
} from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { collectDefaultMetrics, Counter, Histogram, prometheusContentType, Registry } from 'prom-client';
import { onMeasured } from '../measurements/measurements.js';
import { STATUSES_BY_RANK } from '../messages/message-status.js';
import { AdminKeyGuard } from './admin-access.js';
import { AdminKeys } from './admin-keys.js';
import { DatabaseMetrics } from './database-metrics.js';
import { PREFIX, RequestDurations } from './request-durations.js';

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

@Controller('metrics')
@UseGuards(AdminKeyGuard)
@ApiExcludeController()
export class MetricsController {
  constructor(private readonly metrics: Metrics) {}

  /** Serves Prometheus, which sends the key as `authorization` of its scrape config. */
  @Get()
  @Header('Content-Type', prometheusContentType)
  expose() {
    return this.metrics.expose();
  }
}
