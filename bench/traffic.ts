import type { Turn } from './load/turn.js';
import type { BenchOptions } from './options.js';

/**
 * How callbacks come. A campaign's come over as many connections as they take time on the network: at 3,000 a second and
 * 40 ms there and back some 120 are open, so that `many` is what Twilio's distance makes of it, and `kept` a proxy nearby.
 */
export type Traffic = 'kept' | 'many' | 'new';

/** On connections that are kept. */
export const KEPT_TRAFFIC = ['kept', 'many'] as const satisfies readonly Traffic[];

/** In the order in which the contenders take their turns. */
export const TRAFFIC: readonly Traffic[] = [...KEPT_TRAFFIC, 'new'];

type ConnectionOptions = Pick<BenchOptions, 'connections' | 'manyConnections'>;

/** What the load generator is asked for in a turn. */
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
