import { Logger } from '@nestjs/common';
import type { Worker } from 'node:cluster';
import { on } from 'node:events';
import { AggregatorRegistry } from 'prom-client';
import { isMessage, type MessageToProcess, type ProcessMetrics } from './metrics-messages.js';

/** A process that reads its gauges from a database that does not answer takes four. */
const LIMIT_MILLISECONDS = 5_000;

/**
 * In the primary: gathers the metrics of all processes for the one that was asked for them. Prometheus takes a counter that
 * falls for one that began anew, so what a process has counted stays when it ends, or does not answer.
 */
export class MetricsGathering {
  private readonly logger = new Logger('Metrics');
  /** What each process told last. */
  private readonly latest = new Map<Worker, ProcessMetrics>();
  /** What those counted that have ended. */
  private ended: ProcessMetrics[] = [];
  private rounds = 0;
  private gathering: Promise<ProcessMetrics[]> | undefined;

  /** @param worker a process that can be asked. */
  include(worker: Worker): void {
    this.latest.set(worker, []);
    worker.on('message', (message: unknown) => {
      if (!isMessage(message, 'metrics.wanted')) return;
      this.answer(worker, message.request).catch((error: unknown) => {
        this.logger.error('The metrics of the processes could not be put together', { error: String(error) });
      });
    });
    worker.once('exit', () => {
      this.ended.push(countedIn(this.latest.get(worker) ?? []));
      this.latest.delete(worker);
    });
  }

  private async answer(worker: Worker, request: number): Promise<void> {
    // Those who ask at the same time have the same answer.
    this.gathering ??= this.gather().finally(() => {
      this.gathering = undefined;
    });
    send(worker, { type: 'metrics.gathered', request, metrics: await this.gathering });
  }

  private async gather(): Promise<ProcessMetrics[]> {
    this.rounds += 1;
    const round = this.rounds;
    const silent = new Set<Worker>();
    await Promise.all(
      [...this.latest.keys()].map(async (worker) => {
        const metrics = await ask(worker, round);
        if (metrics === null) silent.add(worker);
        // Unless it has ended since.
        else if (this.latest.has(worker)) this.latest.set(worker, metrics);
      }),
    );
    const living = [...this.latest].map(([worker, metrics]) => {
      if (!silent.has(worker)) return metrics;
      this.logger.warn('A process did not tell its metrics in time', { process: worker.process.pid });
      return countedIn(metrics);
    });
    return [...living, await this.sumOfEnded()];
  }

  /** One sum, however many have ended. */
  private async sumOfEnded(): Promise<ProcessMetrics> {
    const sum = await AggregatorRegistry.aggregate(this.ended.splice(0)).getMetricsAsJSON();
    this.ended.push(sum);
    return sum;
  }
}

async function ask(worker: Worker, round: number): Promise<ProcessMetrics | null> {
  const signal = AbortSignal.timeout(LIMIT_MILLISECONDS);
  const messages = on(worker, 'message', { signal, close: ['exit'] }) as AsyncIterable<[unknown]>;
  send(worker, { type: 'metrics.asked', round });
  try {
    for await (const [message] of messages) {
      if (isMessage(message, 'metrics.told') && message.round === round) return message.metrics;
    }
  } catch {
    // It took too long.
  }
  return null;
}

/** A gauge of a process says nothing once the process does not. */
function countedIn(metrics: ProcessMetrics): ProcessMetrics {
  // prom-client declares an enumeration that it does not have at run time.
  const kinds: readonly unknown[] = ['counter', 'histogram'];
  return metrics.filter(({ type }) => kinds.includes(type));
}

function send(worker: Worker, message: MessageToProcess): void {
  // One that has just ended is not told.
  worker.send(message, () => undefined);
}
