import { join } from 'node:path';
import { PostgresServer } from '../harness/postgres-server.js';
import { runProgram, type Surroundings } from '../harness/program.js';
import { scheduleFailovers } from './failover-schedule.js';
import { Failovers, type FailoverServers } from './failovers.js';
import { FaultInjector } from './fault-injector.js';
import { scheduleFaults } from './fault-schedule.js';
import { type ChaosOptions, readOptions, usage } from './options.js';
import { PatroniCluster } from './patroni-cluster.js';
import { PostgresCluster } from './postgres-cluster.js';
import { report } from './report.js';
import { ChaosRun, type Disturb } from './run-chaos.js';
import { World } from './world.js';

await runProgram(chaos, 2);

/** Exit codes: 0 if each count is 0, 1 if one is not, 2 if the run could not be made. */
async function chaos(surroundings: Surroundings): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options !== undefined) return runChaos(options, surroundings);
  process.stdout.write(usage);
  return 0;
}

async function runChaos(options: ChaosOptions, { interrupted, say }: Surroundings): Promise<number> {
  say('starting PostgreSQL, the fake Twilio and two replicas');
  const { world, disturb } = await start(options, say);
  let keepLogs = true;
  try {
    say(`logs are in ${world.folder}`);
    const { run, verdict, evidence } = await ChaosRun.play(world, options, disturb, interrupted, say);
    const isGood = [...verdict.values()].every((cases) => cases.length === 0);
    process.stdout.write(report({ options, world, run, verdict, evidence }));
    process.stdout.write(isGood ? '✔ Each count is 0.\n' : `✖ Logs: ${world.folder}\n`);
    keepLogs = options.keep || !isGood;
    return isGood ? 0 : 1;
  } finally {
    await world.close(keepLogs);
  }
}

type Start = (
  options: ChaosOptions,
  say: (text: string) => void,
) => Promise<{ readonly world: World; readonly disturb: Disturb }>;

async function start(...[options, say]: Parameters<Start>): ReturnType<Start> {
  return options.mode === 'faults' ? startForFaults(options) : startForFailovers(options, say);
}

async function startForFaults(options: ChaosOptions): ReturnType<Start> {
  const { seed, minutes } = options;
  const { world, servers } = await World.start(options, (folder) =>
    PostgresServer.start(join(folder, 'postgres')),
  );
  const schedule = scheduleFaults(seed, minutes * 60_000);
  return { world, disturb: (...[, until, say]) => new FaultInjector(world, servers, schedule, until, say) };
}

async function startForFailovers(...[options, say]: Parameters<Start>): ReturnType<Start> {
  const { seed, failovers, addresses } = options;
  const { world, servers } = await World.start<FailoverServers>(options, (folder) =>
    options.mode === 'patroni'
      ? PatroniCluster.start(folder, addresses)
      : PostgresCluster.start(folder, addresses, say),
  );
  const plans = scheduleFailovers(seed, failovers);
  return { world, disturb: (...[, until]) => new Failovers(world, servers, plans, until, say) };
}
