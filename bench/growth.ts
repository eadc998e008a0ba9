import { totalmem } from 'node:os';
import type { PostgresSettings } from '../harness/postgres-server.js';
import type { BenchDatabase } from './bench-database.js';
import { type ServiceWorld, withServiceWorld } from './bench-world.js';
import { fillTable } from './large-table.js';
import type { BenchContext } from './measurement.js';
import { asJson, circumstances, type Report } from './report/report.js';
import { percentiles, type Percentiles, type Spread, spreadOf, withSpread } from './report/statistics.js';
import { ContinuingTurns } from './take-turn.js';

/** More than the service stores in a second. */
const MOST_CALLBACKS_PER_SECOND = 15_000;

/** The queries of docs/operating.md that have a limit. */
const QUERIES = [
  'SELECT * FROM message_events ORDER BY created_at DESC LIMIT 100',
  "SELECT * FROM message_events WHERE source = 'poll' ORDER BY created_at DESC LIMIT 100",
];

const QUERY_RUNS = 50;

/**
 * Autovacuum would process the small table each minute, since that grows by more than a fifth, and the large one never.
 */
const WITHOUT_AUTOVACUUM: PostgresSettings = { autovacuum: 'off' };

interface Growth {
  readonly rows: number;
  readonly turns: number;
  /** The settings that the bench changes. */
  readonly postgresSettings: PostgresSettings;
  /** Callbacks a second. */
  readonly empty: Spread;
  readonly large: Spread;
  /** Large to empty, in the same round. */
  readonly rateRatio: Spread;
  readonly emptyP99: Spread;
  readonly largeP99: Spread;
  readonly p99Ratio: Spread;
  readonly queries: readonly (Percentiles & { readonly sql: string })[];
  readonly rounds: readonly Round[];
}

/**
 * Measures an initially empty table and a large one in turns, and the documented queries on the large one. Both keep
 * their rows, and both services have the same other work.
 */
export async function measureGrowth(context: BenchContext): Promise<Report> {
  const { options, interrupted, say } = context;
  const { rows, turns, milliseconds, warmUpMilliseconds } = options;
  const seconds = (turns * milliseconds + warmUpMilliseconds) / 1_000;
  const world = {
    names: ['empty_table', 'large_table'],
    callbacks: Math.ceil(seconds * MOST_CALLBACKS_PER_SECOND),
    prepare: async ([, large]: readonly BenchDatabase[]) => {
      if (large === undefined) return;
      if (!options.postgresDefaults) await compressWal(large);
      await fillTable(large, rows, say, interrupted);
    },
    postgresSettings: { ...(options.postgresDefaults ? {} : settingsForLargeTable()), ...WITHOUT_AUTOVACUUM },
    say,
  };
  return withServiceWorld(world, async (world) => {
    const rounds = await takeRounds(context, world);
    say('the documented queries');
    const queries = await measureQueries(world);
    const spread = (value: (round: Round) => number) => spreadOf(rounds.map(value));
    const growth = {
      rows,
      turns,
      postgresSettings: await settingsOf(world.service.database),
      empty: spread(({ empty }) => empty.rate),
      large: spread(({ large }) => large.rate),
      rateRatio: spread(({ empty, large }) => large.rate / empty.rate),
      emptyP99: spread(({ empty }) => empty.p99),
      largeP99: spread(({ large }) => large.p99),
      p99Ratio: spread(({ empty, large }) => large.p99 / empty.p99),
      queries,
      rounds,
    };
    return reportOf(growth, world.postgresVersion);
  });
}

/** Reads the settings of docs/deploying.md for a log of millions of rows that every version of PostgreSQL has. */
function settingsForLargeTable(): PostgresSettings {
  const megabytes = Math.floor(totalmem() / 4 / 1024 ** 2);
  return { shared_buffers: `${megabytes}MB`, max_wal_size: '8GB' };
}

/** Applies the third setting of docs/deploying.md if PostgreSQL supports it. */
async function compressWal(database: BenchDatabase): Promise<void> {
  const methods = await database.query(
    "select from pg_settings where name = 'wal_compression' and 'lz4' = any (enumvals)",
  );
  if (methods.length === 0) return;
  await database.query("alter system set wal_compression = 'lz4'");
  await database.query('select pg_reload_conf()');
}

async function settingsOf(database: BenchDatabase): Promise<PostgresSettings> {
  const rows = await database.query<{ name: string; value: string }>(
    `select name, current_setting(name) as value from pg_settings
      where name in ('shared_buffers', 'max_wal_size', 'wal_compression', 'autovacuum') order by name`,
  );
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
}

interface Figures {
  readonly rate: number;
  readonly p99: number;
}

interface Round {
  readonly empty: Figures;
  readonly large: Figures;
}

async function takeRounds(context: BenchContext, world: ServiceWorld): Promise<readonly Round[]> {
  const [empty, large] = world.services.map((service) => new ContinuingTurns(world, context, service));
  if (empty === undefined || large === undefined) throw new Error('There must be two services');
  const { options, say } = context;
  say('warming up');
  for (const turns of [empty, large]) await turns.take(options.warmUpMilliseconds);
  const rounds: Round[] = [];
  for (let round = 1; round <= options.turns; round += 1) {
    say(`round ${round} of ${options.turns}`);
    // The order alternates, so that neither always follows the other.
    const first = await take(round % 2 === 0 ? empty : large, options.milliseconds);
    const second = await take(round % 2 === 0 ? large : empty, options.milliseconds);
    rounds.push(round % 2 === 0 ? { empty: first, large: second } : { empty: second, large: first });
  }
  return rounds;
}

async function take(turns: ContinuingTurns, milliseconds: number): Promise<Figures> {
  const { rate, result } = await turns.take(milliseconds);
  return { rate, p99: result.latency.p99 };
}

async function measureQueries({ services }: ServiceWorld): Promise<Growth['queries']> {
  const measured: Growth['queries'][number][] = [];
  for (const sql of QUERIES) {
    const latencies: number[] = [];
    for (let run = 0; run < QUERY_RUNS; run += 1) {
      const startedAt = performance.now();
      await services[1]?.database.query(sql);
      latencies.push(performance.now() - startedAt);
    }
    measured.push({ sql, ...percentiles(latencies.sort((left, right) => left - right)) });
  }
  return measured;
}

function reportOf(growth: Growth, postgresVersion: string): Report {
  const { rows, postgresSettings, empty, large, rateRatio, emptyP99, largeP99, p99Ratio, queries } = growth;
  const settings = Object.entries(postgresSettings).map(([name, value]) => `${name} = ${value}`);
  const cell = (spread: Spread, digits: number) => withSpread(spread, digits).padStart(22);
  const text = [
    '',
    `PostgreSQL has ${settings.join(', ')}, and all others as they are by default.`,
    `${''.padEnd(26)}${'204 a second'.padStart(22)}${'p99 ms'.padStart(22)}`,
    `${'a table that began empty'.padEnd(26)}${cell(empty, 0)}${cell(emptyP99, 1)}`,
    `${`${rows} rows`.padEnd(26)}${cell(large, 0)}${cell(largeP99, 1)}`,
    `${'ratio'.padEnd(26)}${cell(rateRatio, 2)}${cell(p99Ratio, 2)}`,
    '',
    ...queries.map(
      ({ sql, p50, p99 }) =>
        `p50 ${p50.toFixed(1).padStart(6)} ms, p99 ${p99.toFixed(1).padStart(6)} ms  ${sql.replaceAll(/\s+/g, ' ')}`,
    ),
    '',
  ].join('\n');
  return { text, files: { 'growth.json': asJson({ ...circumstances(postgresVersion), ...growth }) } };
}
