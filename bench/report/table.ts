import { BASELINE } from '../contenders.js';
import type { Measurement } from '../measurement.js';
import type { Results } from './results.js';
import type { Spread } from './statistics.js';

/** The tables at the end of a run. */
export function table({ options, loadGenerator, storedCallbacks, measurements }: Results): string {
  const lines = (mode: Measurement['mode']) =>
    measurements.filter((measurement) => measurement.mode === mode).map(line);
  const title = (connections: string) =>
    `${connections.padEnd(46)}${'204 a second'.padStart(24)}${`times (${BASELINE})`.padStart(24)}${'p50'.padStart(8)}${'p99 ms'.padStart(9)}`;
  return [
    '',
    title(`${options.connections} kept connections`),
    ...lines('kept'),
    '',
    title(`new connections, ${options.connections} at once`),
    ...lines('new'),
    '',
    `Medians of ${options.turns} turns, with the least and the most of them.`,
    `The load generator sends ${Math.round(loadGenerator)} requests a second to a server that only answers.`,
    `${storedCallbacks} callbacks were answered 204 by a contender that stores, and each was found as a row.`,
    '',
  ].join('\n');
}

function line({ letter, name, callbacksPerSecond, ratio, latency }: Measurement): string {
  const milliseconds = (value: number | undefined) => value?.toFixed(1) ?? '';
  return [
    `(${letter}) ${name}`.padEnd(46),
    withSpread(callbacksPerSecond, 0).padStart(24),
    withSpread(ratio, 2).padStart(24),
    milliseconds(latency?.p50).padStart(8),
    milliseconds(latency?.p99).padStart(9),
  ]
    .join('')
    .trimEnd();
}

function withSpread({ median, least, most }: Spread, digits: number): string {
  return `${median.toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`;
}
