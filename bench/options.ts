import { parseArgs } from 'node:util';

export interface BenchOptions {
  /** Where results.json and chart.svg go. */
  readonly out: string;
  /** How often each contender takes its turn. */
  readonly turns: number;
  /** Of a turn with kept connections; one with new connections takes half of it. */
  readonly milliseconds: number;
  /** Before the first turn, for the compiler of Node. */
  readonly warmUpMilliseconds: number;
  /** How many connections there are at once. */
  readonly connections: number;
}

export const usage = `Measures how many callbacks a second are answered, by this service and by its peers, in turns.

  npm run bench -- [options]

  --quick          about a minute: turns of 0.7 s after a short warm-up, so the ratios are rough
  --turns N        how often each one takes its turn, 5 or more; default 7
  --seconds S      of a turn; default 4
  --connections C  at once; default 32
  --out FOLDER     of results.json and chart.svg; default bench/results
`;

/** @throws TypeError naming what is wrong with the arguments. @returns undefined where help was asked for. */
export function readOptions(args: readonly string[]): BenchOptions | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      turns: { type: 'string' },
      seconds: { type: 'string' },
      connections: { type: 'string', default: '32' },
      out: { type: 'string', default: 'bench/results' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  return {
    out: values.out,
    turns: wholeNumberOf('--turns', values.turns ?? (values.quick ? '5' : '7'), 5, 100),
    milliseconds: secondsOf('--seconds', values.seconds ?? (values.quick ? '0.7' : '4')) * 1000,
    warmUpMilliseconds: values.quick ? 2_000 : 10_000,
    connections: wholeNumberOf('--connections', values.connections, 1, 256),
  };
}

function wholeNumberOf(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new TypeError(`${name} is a whole number from ${least} to ${most}, not ${text}`);
}

function secondsOf(name: string, text: string): number {
  const value = Number(text);
  if (value >= 0.1 && value <= 60) return value;
  throw new TypeError(`${name} is a number of seconds from 0.1 to 60, not ${text}`);
}
