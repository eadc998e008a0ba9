import { THIS_SERVICE } from '../contenders.js';
import { asJson, circumstances, type Report } from './report.js';
import type { Percentiles } from './statistics.js';

/** What one storm is like. */
export interface Weather {
  readonly concurrency: number;
  /** How long Twilio takes for an answer, in milliseconds. */
  readonly twilio: number;
}

/** Processor time in microseconds. */
export interface Cost {
  readonly process: number;
  readonly postgres: number;
}

/** The figures that this service and its peers have in common. */
export interface CommonFigures {
  /** Callbacks a second: plain ones, and failures. */
  readonly plain: number;
  readonly failures: number;
  /** Measured from the first failure to the last SMS. */
  readonly smsPerSecond: number;
  readonly ofCallback: Cost;
  /** What a failure with its SMS costs in addition to a plain callback. */
  readonly ofFallback: Cost;
  /** Milliseconds from a callback to the request for its SMS. */
  readonly untilSms: Percentiles;
  /** The most memory of the process, in bytes. */
  readonly memory: number;
}

export interface Storm extends Weather, CommonFigures {
  /** Plain callbacks a second while the SMS are sent. */
  readonly meanwhile: number;
  /** SMS a second after the failures have come: until then, the callbacks come first. */
  readonly smsPerSecondThen: number;
  /** How often Twilio was asked for its SMS, see `StormyTwilio`. */
  readonly lists: number;
}

/** What a peer may do wrong. For this service it is an error. */
export interface Faults {
  /** Failures that were answered other than 204, or not within Twilio's limit. */
  readonly notAccepted: number;
  /** SMS besides the first one of a failure. */
  readonly repeatedSms: number;
  /** Accepted failures without an SMS. */
  readonly withoutSms: number;
}

export interface PeerStorm extends CommonFigures, Faults {
  readonly letter: string;
  readonly name: string;
}

/** Failures whose messages have no row in `messages`, a second. */
export interface WithoutRows {
  readonly concurrency: number;
  readonly plain: number;
  readonly failures: number;
}

interface Instances {
  readonly instances: number;
  readonly smsPerSecond: number;
  /** The sum over all instances. */
  readonly ofFallback: Cost;
  readonly memory: number;
}

export interface Replicas extends Weather {
  readonly one: Instances;
  readonly two: Instances;
}

export interface StormFigures {
  readonly storms: readonly Storm[];
  readonly withoutRows: readonly WithoutRows[];
  readonly replicas: Replicas;
  readonly peers: readonly PeerStorm[];
}

/** The storm of this service that the peers are compared with. */
export const PEER_WEATHER: Weather = { concurrency: 50, twilio: 100 };

type Columns<Row> = readonly (readonly [title: string, cell: (row: Row) => string])[];

const STORM_COLUMNS: Columns<Storm> = [
  ['concurrency', ({ concurrency }) => String(concurrency)],
  ['Twilio ms', ({ twilio }) => String(twilio)],
  ['plain/s', ({ plain }) => plain.toFixed(0)],
  ['failures/s', ({ failures, plain }) => relative(failures, plain)],
  ['plain/s then', ({ meanwhile, plain }) => relative(meanwhile, plain)],
  ['SMS/s', ({ smsPerSecondThen }) => smsPerSecondThen.toFixed(0)],
  ['CPU µs', ({ ofCallback }) => both(ofCallback)],
  ['of an SMS', ({ ofFallback }) => both(ofFallback)],
  [
    'times',
    ({ ofCallback, ofFallback }) =>
      `${(ofFallback.process / ofCallback.process).toFixed(1)}, ${(ofFallback.postgres / ofCallback.postgres).toFixed(1)}`,
  ],
  ['p50, p99 s', ({ untilSms }) => seconds(untilSms)],
  ['lists', ({ lists }) => String(lists)],
  ['MB', ({ memory }) => megabytes(memory)],
];

const PEER_COLUMNS: Columns<PeerStorm> = [
  ['', ({ letter, name }) => `(${letter}) ${name}`],
  ['plain/s', ({ plain }) => plain.toFixed(0)],
  ['failures/s', ({ failures, plain }) => relative(failures, plain)],
  ['SMS/s', ({ smsPerSecond }) => smsPerSecond.toFixed(0)],
  ['CPU µs', ({ ofCallback }) => both(ofCallback)],
  ['of an SMS', ({ ofFallback }) => both(ofFallback)],
  ['in all', ({ ofCallback, ofFallback }) => total(ofCallback, ofFallback)],
  ['p50, p99 s', ({ untilSms }) => seconds(untilSms)],
  ['not 204', ({ notAccepted }) => String(notAccepted)],
  ['no SMS', ({ withoutSms }) => String(withoutSms)],
  ['second SMS', ({ repeatedSms }) => String(repeatedSms)],
  ['MB', ({ memory }) => megabytes(memory)],
];

export function stormReport(figures: StormFigures, postgresVersion: string): Report {
  const { storms, withoutRows, replicas, peers } = figures;
  const lines = [
    '',
    ...tableOf(STORM_COLUMNS, storms),
    '',
    'plain/s: other callbacks while nothing is sent; then: while the SMS of a burst are sent. In brackets: times plain/s.',
    'SMS/s: after the burst. CPU: of a plain callback, and of an SMS besides its callback; of the process + of PostgreSQL.',
    'lists: how often Twilio was asked for its SMS, as before each SMS of a message that was sent a minute ago.',
    '',
    ...withoutRows.map(
      ({ concurrency, plain, failures }) =>
        `Concurrency ${concurrency}: ${relative(failures, plain)} failures/s without rows in messages.`,
    ),
    replicasLine(replicas),
    '',
    ...tableOf(PEER_COLUMNS, [...likePeers(storms), ...peers]),
    '',
    'SMS/s: from the first failure to the last SMS. in all: CPU of a failure with its callback and its SMS.',
    'not 204: failures with another answer, or with none within 15 s.',
    '',
  ];
  return {
    text: lines.join('\n'),
    files: { 'storm.json': asJson({ ...circumstances(postgresVersion), ...figures }) },
  };
}

function likePeers(storms: readonly Storm[]): PeerStorm[] {
  return storms
    .filter(
      ({ concurrency, twilio }) => concurrency === PEER_WEATHER.concurrency && twilio === PEER_WEATHER.twilio,
    )
    .map((storm) => ({
      ...storm,
      letter: THIS_SERVICE.letter,
      name: `${THIS_SERVICE.name}, concurrency ${storm.concurrency}`,
      // Each of these would have ended the measurement.
      ...{ notAccepted: 0, withoutSms: 0, repeatedSms: 0 },
    }));
}

function replicasLine({ concurrency, twilio, one, two }: Replicas): string {
  const ratio = (two.smsPerSecond / one.smsPerSecond).toFixed(2);
  return `Two instances, concurrency ${concurrency}, Twilio ${twilio} ms: ${two.smsPerSecond.toFixed(1)} SMS/s, one ${one.smsPerSecond.toFixed(1)} (times ${ratio}); CPU µs of an SMS ${both(two.ofFallback)}, one ${both(one.ofFallback)}.`;
}

function tableOf<Row>(columns: Columns<Row>, rows: readonly Row[]): string[] {
  const cells = [columns.map(([title]) => title), ...rows.map((row) => columns.map(([, cell]) => cell(row)))];
  const widths = columns.map((_, index) => Math.max(...cells.map((row) => row[index]?.length ?? 0)));
  const padded = (cell: string, index: number) =>
    // A column without a title has names.
    columns[index]?.[0] === '' ? cell.padEnd(widths[index] ?? 0) : cell.padStart((widths[index] ?? 0) + 2);
  return cells.map((row) => row.map(padded).join(''));
}

function relative(rate: number, plain: number): string {
  return `${rate.toFixed(0)} (${(rate / plain).toFixed(2)})`;
}

function both({ process, postgres }: Cost): string {
  return `${process.toFixed(0)} + ${postgres.toFixed(0)}`;
}

function total(...costs: readonly Cost[]): string {
  return costs.reduce((sum, { process, postgres }) => sum + process + postgres, 0).toFixed(0);
}

function seconds({ p50, p99 }: Percentiles): string {
  return `${(p50 / 1_000).toFixed(2)}, ${(p99 / 1_000).toFixed(2)}`;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}
