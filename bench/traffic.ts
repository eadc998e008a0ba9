import type { Turn } from './load/turn.js';
import type { BenchOptions } from './options.js';

/**
 * How callbacks arrive. The number of open connections in a campaign follows from the network latency: at 3,000
 * callbacks a second and a round trip of 40 ms, about 120 are open. So `many` models Twilio's distance, and `kept` a
 * nearby proxy.
 */
export type Traffic = 'kept' | 'many' | 'new';

/** The traffic on kept connections. */
export const KEPT_TRAFFIC = ['kept', 'many'] as const satisfies readonly Traffic[];

/** All traffic, in the order of the turns. */
export const TRAFFIC: readonly Traffic[] = [...KEPT_TRAFFIC, 'new'];

type ConnectionOptions = Pick<BenchOptions, 'connections' | 'manyConnections'>;

/** Builds the load generator's turn. */
export function turnWith(
  traffic: Traffic,
  { milliseconds, connections, manyConnections }: ConnectionOptions & Pick<BenchOptions, 'milliseconds'>,
): Pick<Turn, 'mode' | 'connections' | 'milliseconds'> {
  switch (traffic) {
    case 'kept':
      return { mode: 'kept', connections, milliseconds };
    case 'many':
      return { mode: 'kept', connections: manyConnections, milliseconds };
    case 'new':
      return { mode: 'new', connections, milliseconds: milliseconds / 2 };
  }
}

export function titleOf(traffic: Traffic, { connections, manyConnections }: ConnectionOptions): string {
  switch (traffic) {
    case 'kept':
      return `${connections} kept connections`;
    case 'many':
      return `${manyConnections} kept connections`;
    case 'new':
      return `new connections, ${connections} at once`;
  }
}
