import { on } from 'node:events';
import { isMessage, type MessageToPrimary, type ProcessMetrics } from './metrics-messages.js';

/** Longer than the primary waits for the others, and shorter than the ten seconds that Prometheus waits. */
const LIMIT_MILLISECONDS = 8_000;

/** In one of several processes: tells its metrics to the primary, and asks it for those of all. */
export class MetricsExchange {
  private requests = 0;

  /** @param read the metrics of this process. */
  tell(read: () => Promise<ProcessMetrics>): void {
    process.on('message', (message: unknown) => {
      if (!isMessage(message, 'metrics.asked')) return;
      const { round } = message;
      read().then(
        (metrics) => {
          send({ type: 'metrics.told', round, metrics });
        },
        () => {
          send({ type: 'metrics.told', round, metrics: null });
        },
      );
    });
  }

  /**
   * The metrics of each process, and what is left of those that ended.
   * @throws when the primary does not answer.
   */
  async gather(): Promise<ProcessMetrics[]> {
    this.requests += 1;
    const request = this.requests;
    const signal = AbortSignal.timeout(LIMIT_MILLISECONDS);
    const messages = on(process, 'message', { signal, close: ['disconnect'] }) as AsyncIterable<[unknown]>;
    send({ type: 'metrics.wanted', request });
    for await (const [message] of messages) {
      if (isMessage(message, 'metrics.gathered') && message.request === request) return message.metrics;
    }
    throw new Error('The primary process has ended');
  }
}

/** Where the primary is gone, nobody waits for it. */
function send(message: MessageToPrimary): void {
  process.send?.(message, undefined, undefined, () => undefined);
}
