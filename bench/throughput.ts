import { withBenchWorld } from './bench-world.js';
import { TRAFFIC } from './callbacks.js';
import { type BenchContext, summarize } from './measurement.js';
import { asJson, chart, type Report, resultsOf, table } from './report/report.js';
import { BenchRun } from './run-bench.js';

/** More than any contender stores in a second: neither a turn nor the warm-up runs out of callbacks. */
const CALLBACKS_PER_SECOND = 15_000;

/** PostgreSQL's default. It is enough for the contenders' pools; pgbench adds one for each connection of the load. */
const DATABASE_CONNECTIONS = 100;

/** Measures callbacks a second of this service and its peers in turns. */
export async function measureThroughput(context: BenchContext): Promise<Report> {
  const { options, say } = context;
  const connections = Math.max(options.connections, options.manyConnections);
  const longest = Math.max(options.milliseconds, options.warmUpMilliseconds);
  const worldOptions = {
    callbacks: Math.ceil((longest / 1000) * CALLBACKS_PER_SECOND),
    postgresSettings: { max_connections: String(DATABASE_CONNECTIONS + connections) },
    say,
  };
  return withBenchWorld(worldOptions, async (world) => {
    const run = new BenchRun(world, context);
    say('measuring the load generator, and warming up');
    const loadGenerator = await run.measureLoadGenerator();
    await run.warmUp();
    await run.run();
    const { turns, storedCallbacks } = run;
    const measurements = TRAFFIC.flatMap((traffic) => summarize(turns, traffic));
    const results = resultsOf(options, world.postgresVersion, {
      loadGenerator,
      storedCallbacks,
      measurements,
    });
    return {
      text: table(results),
      files: { 'results.json': asJson(results), 'chart.svg': chart(results) },
    };
  });
}
