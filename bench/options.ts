import { parseArguments, UsageError } from '../simulator/command-line.js';

/** The measurements. `throughput` compares the service with its peers. */
const MEASUREMENTS = ['throughput', 'latency', 'growth', 'operators', 'soak', 'unsigned', 'storm'] as const;

export type MeasurementName = (typeof MEASUREMENTS)[number];

export interface BenchOptions {
  readonly measurement: MeasurementName;
  /** The folder for the results. */
  readonly out: string;
  /** Runs briefly, with rough figures. */
  readonly quick: boolean;
  /** The number of turns of each contender. */
  readonly turns: number;
  /** The length of a turn with kept connections; a turn with new connections takes half of it. */
  readonly milliseconds: number;
  /** The warm-up before the first turn, for Node's compiler. */
  readonly warmUpMilliseconds: number;
  /** The number of concurrent connections, if they are few. */
  readonly connections: number;
  /** For `throughput`: the number of concurrent connections, if they are many. */
  readonly manyConnections: number;
  /** Rows of the large table, for `growth` and `operators`. */
  readonly rows: number;
  /** For `growth`: PostgreSQL's defaults instead of the settings for a large table. */
  readonly postgresDefaults: boolean;
  /** For `soak`: whole minutes, since it measures minute by minute. */
  readonly minutes: number;
}

export const usage = `Measures how fast callbacks are stored. The results are also written to bench/results.

  npm run bench -- [measurement] [options]

  throughput       callbacks a second of this service and its peers, in turns (the default; about thirteen minutes)
  latency          from a policy failure's callback to the SMS's request at Twilio (about two minutes)
  growth           an initially empty and a large table, in turns, and the documented queries (about ten minutes)
  operators        cost of the operators' page, calls and indexes for callbacks, with a large table (about twenty minutes)
  soak             memory, latency and connections during ten minutes at 70 % of the maximum (about fourteen minutes, and
                   3.5 GB of memory for the load generator)
  unsigned         how long signed callbacks wait while other connections send expensive requests without a valid
                   signature (about seventeen minutes)

  storm            a refused campaign: how fast failures and other callbacks are accepted, and SMS are sent, by this
                   service, two replicas of it, and peers (about twelve minutes)

  --quick              short turns with rough figures: throughput takes about two minutes, storm one and a half
  --turns N            turns of each contender, 5 or more; default 7
  --seconds S          seconds of a turn; default 4
  --connections C      concurrent connections; default 32
  --many-connections C the same in the turns with many (throughput); default 128
  --rows N             rows of the large table; default 10000000
  --postgres-defaults  growth: PostgreSQL's defaults instead of the settings for a large table
  --minutes M          minutes of soak; default 10; the signed callbacks of each take a third of a gigabyte of memory
  --out FOLDER         folder of the results; default bench/results

Exit codes: 0 done, 1 the measurement failed, 2 wrong usage.
`;

const OPTIONS = {
  quick: { type: 'boolean', default: false },
  turns: { type: 'string' },
  seconds: { type: 'string' },
  connections: { type: 'string', default: '32' },
  'many-connections': { type: 'string', default: '128' },
  rows: { type: 'string' },
  minutes: { type: 'string' },
  'postgres-defaults': { type: 'boolean', default: false },
  out: { type: 'string', default: 'bench/results' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** @throws UsageError naming what is wrong with the arguments. @returns undefined if help was requested. */
export function readOptions(args: readonly string[]): BenchOptions | undefined {
  const { values, positionals } = parseArguments({
    args: [...args],
    allowPositionals: true,
    options: OPTIONS,
  });
  if (values.help) return undefined;
  const { quick } = values;
  return {
    measurement: measurementOf(positionals),
    out: values.out,
    quick,
    turns: wholeNumberOf('--turns', values.turns ?? (quick ? '5' : '7'), 5, 100),
    milliseconds: secondsOf('--seconds', values.seconds ?? (quick ? '0.5' : '4'), 0.1, 60) * 1000,
    warmUpMilliseconds: quick ? 2_000 : 10_000,
    connections: wholeNumberOf('--connections', values.connections, 1, 256),
    manyConnections: wholeNumberOf('--many-connections', values['many-connections'], 1, 256),
    rows: wholeNumberOf('--rows', values.rows ?? (quick ? '100000' : '10000000'), 1_000, 100_000_000),
    postgresDefaults: values['postgres-defaults'],
    minutes: wholeNumberOf('--minutes', values.minutes ?? (quick ? '1' : '10'), 1, 60),
  };
}

function measurementOf([name = 'throughput', ...others]: readonly string[]): MeasurementName {
  const known = MEASUREMENTS.find((measurement) => measurement === name);
  if (known === undefined || others.length > 0) {
    throw new UsageError(`Give one of ${MEASUREMENTS.join(', ')}, not ${[name, ...others].join(' ')}`);
  }
  return known;
}

function wholeNumberOf(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new UsageError(`${name} is a whole number from ${least} to ${most}, not ${text}`);
}

function secondsOf(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (value >= least && value <= most) return value;
  throw new UsageError(`${name} is a number of seconds from ${least} to ${most}, not ${text}`);
}
