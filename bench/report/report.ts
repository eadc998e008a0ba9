import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { KEPT_TRAFFIC, titleOf, TRAFFIC } from '../callbacks.js';
import { BASELINE } from '../contenders.js';
import type { Measurement } from '../measurement.js';
import type { BenchOptions } from '../options.js';
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

const WIDTH = 800;
const LABELS_WIDTH = 330;
const BAR_HEIGHT = 22;
const ROW_HEIGHT = 34;
const TOP = 44;
const HEADING_HEIGHT = 28;
const GROUP_GAP = 12;

/** Draws the ratios with kept connections as an SVG bar chart that is legible on light and dark pages. */
export function chart({ options, measurements }: Pick<Results, 'options' | 'measurements'>): string {
  const groups = KEPT_TRAFFIC.map((traffic) => ({
    heading: titleOf(traffic, options),
    rows: measurements.filter((measurement) => measurement.traffic === traffic),
  }));
  const most = Math.max(...groups.flatMap(({ rows }) => rows.map(({ ratio }) => ratio.most)));
  const scale = (ratio: number) => (ratio / most) * (WIDTH - LABELS_WIDTH - 70);
  const bars: string[] = [];
  let top = TOP;
  for (const { heading, rows } of groups) {
    bars.push(`<text x="12" y="${top + 14}" font-weight="bold" fill="#1f2937">${heading}</text>`);
    top += HEADING_HEIGHT;
    for (const row of rows) {
      bars.push(bar(row, top, scale));
      top += ROW_HEIGHT;
    }
    top += GROUP_GAP;
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" font-family="sans-serif" font-size="13">`,
    `<rect width="${WIDTH}" height="${top}" fill="#ffffff"/>`,
    `<text x="12" y="24" font-weight="bold" fill="#1f2937">Callbacks answered 204 a second, as a multiple of (${BASELINE}); median and spread</text>`,
    ...bars,
    '</svg>',
    '',
  ].join('\n');
}

function bar({ letter, name, ratio }: Measurement, top: number, scale: (ratio: number) => number): string {
  const middle = top + BAR_HEIGHT / 2;
  const [left, right] = [LABELS_WIDTH + scale(ratio.least), LABELS_WIDTH + scale(ratio.most)];
  const colour = letter === 'a' ? '#15803d' : '#94a3b8';
  return [
    `<text x="12" y="${middle + 5}" fill="#1f2937">(${letter}) ${escape(name)}</text>`,
    `<rect x="${LABELS_WIDTH}" y="${top}" width="${number(scale(ratio.median))}" height="${BAR_HEIGHT}" fill="${colour}"/>`,
    `<path d="M${number(left)} ${middle}H${number(right)}" stroke="#1f2937" stroke-width="1.5"/>`,
    `<text x="${number(right + 8)}" y="${middle + 5}" fill="#1f2937">${ratio.median.toFixed(2)}</text>`,
  ].join('\n');
}

function number(value: number): string {
  return value.toFixed(1);
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

/** The content of results.json. */
export interface Results extends ReturnType<typeof circumstances> {
  readonly options: Pick<
    BenchOptions,
    'turns' | 'milliseconds' | 'warmUpMilliseconds' | 'connections' | 'manyConnections'
  >;
  /** Requests a second that the load generator can send to a server that does nothing. */
  readonly loadGenerator: number;
  readonly storedCallbacks: number;
  readonly measurements: readonly Measurement[];
}

export function resultsOf(
  { turns, milliseconds, warmUpMilliseconds, connections, manyConnections }: BenchOptions,
  postgresVersion: string,
  measured: Pick<Results, 'loadGenerator' | 'storedCallbacks' | 'measurements'>,
): Results {
  return {
    ...circumstances(postgresVersion),
    options: { turns, milliseconds, warmUpMilliseconds, connections, manyConnections },
    ...measured,
  };
}

/** The report of a measurement. */
export interface Report {
  /** The printed text. */
  readonly text: string;
  /** File contents by name. */
  readonly files: Readonly<Record<string, string>>;
}

/** Returns where and when it was measured. @param postgresVersion as PostgreSQL reports it. */
export function circumstances(postgresVersion: string) {
  return {
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    postgres: postgresVersion,
    processors: availableParallelism(),
  };
}

/** Formats figures as JSON. */
export function asJson(figures: object): string {
  return `${JSON.stringify(figures, roundedNumber, 2)}\n`;
}

export async function writeReport(folder: string, { files }: Report): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
}

/** Rounds to four digits; more would suggest false precision. */
function roundedNumber(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;
}
