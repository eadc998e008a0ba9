import type { Registry } from 'prom-client';

/** The metrics of one process, as plain JSON. */
export type ProcessMetrics = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/** What a process tells its primary. */
export type MessageToPrimary =
  /** Somebody has asked this process for the metrics of all. */
  | { readonly type: 'metrics.wanted'; readonly request: number }
  /** The answer to `metrics.asked`; null where the process could not read its own. */
  | { readonly type: 'metrics.told'; readonly round: number; readonly metrics: ProcessMetrics | null };

/** What the primary tells a process. */
export type MessageToProcess =
  /** Each process is asked for its own. */
  | { readonly type: 'metrics.asked'; readonly round: number }
  /** The answer to `metrics.wanted`. */
  | { readonly type: 'metrics.gathered'; readonly request: number; readonly metrics: ProcessMetrics[] };

type Message = MessageToPrimary | MessageToProcess;

/** Others may use the channel, too. What has one of our types is taken for ours as a whole. */
export function isMessage<Type extends Message['type']>(
  value: unknown,
  type: Type,
): value is Extract<Message, { type: Type }> {
  return typeof value === 'object' && value !== null && 'type' in value && value.type === type;
}
