import { BASELINE } from '../contenders.js';
import type { Measurement } from '../measurement.js';
import { titleOf, TRAFFIC } from '../traffic.js';
import type { Results } from './results.js';
import { withSpread } from './statistics.js';

/** Formats the tables at the end of a run. */
export function table({ options, loadGenerator, storedCallbacks, measurements }: Results): string {
  const title = (text: string) =>
    `${text.padEnd(46)}${'204 a second'.padStart(24)}${`times (${BASELINE})`.padStart(24)}${'p50'.padStart(8)}${'p99 ms'.padStart(9)}${'CPU µs'.padStart(13)}`;
  return [
    '',
    ...TRAFFIC.flatMap((traffic) => [
      title(titleOf(traffic, options)),
      ...measurements.filter((measurement) => measurement.traffic === traffic).map(line),
      '',
    ]),
    `Medians of ${options.turns} turns, with the least and the most of them. CPU: for a callback, of the contender's process + of PostgreSQL.`,
    `The load generator sends ${Math.round(loadGenerator)} requests a second to a server that only answers.`,
    `${storedCallbacks} callbacks were answered 204 by a contender that stores, and each was found as a row.`,
    '',
  ].join('\n');
}

function line({
  letter,
  name,
  callbacksPerSecond,
  ratio,
  p50,
  p99,
  processor,
  databaseProcessor,
}: Measurement): string {
  return [
    `(${letter}) ${name}`.padEnd(46),
    withSpread(callbacksPerSecond, 0).padStart(24),
    withSpread(ratio, 2).padStart(24),
    (p50?.toFixed(1) ?? '').padStart(8),
    (p99?.toFixed(1) ?? '').padStart(9),
    processorTime(processor, databaseProcessor).padStart(13),
  ]
    .join('')
    .trimEnd();
}

function processorTime(own: number | null, database: number | null): string {
  if (own === null || database === null) return '';
  return database === 0 ? own.toFixed(0) : `${own.toFixed(0)} + ${database.toFixed(0)}`;
}
