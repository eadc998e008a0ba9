import { withServiceWorld } from './bench-world.js';
import { withClosers } from './closers.js';
import { SMS_PEERS } from './contenders.js';
import { LoadGenerator } from './load/load-generator.js';
import type { BenchContext } from './measurement.js';
import type { Report } from './report/report.js';
import {
  PEER_WEATHER,
  type PeerStorm,
  type Replicas,
  type Storm,
  type StormFigures,
  stormReport,
  type Weather,
  type WithoutRows,
} from './report/storm-report.js';
import { type Campaign, StormPlace, type StormSurroundings, WARM_UP_FAILURES } from './storm-place.js';
import { StormyTwilio } from './stormy-twilio.js';
import type { TakenTurn } from './take-turn.js';

/** More than the service stores in a second. */
const MOST_CALLBACKS_PER_SECOND = 15_000;

const CONCURRENCIES = [10, 50, 100];
const ANSWER_MILLISECONDS = [5, 100, 400];

/** Few slots and a slow Twilio, so that the slots are the limit and not the processors. */
const REPLICA_WEATHER = { concurrency: 10, twilio: 400 } as const;

interface Sizes {
  readonly failures: number;
  readonly withoutRows: number;
  readonly replicaFailures: number;
  /** The length of a turn with plain callbacks, in milliseconds. */
  readonly plain: number;
  readonly concurrencies: readonly number[];
  readonly answers: readonly number[];
}

const SIZES: Sizes = {
  failures: 3_000,
  withoutRows: 9_000,
  replicaFailures: 1_000,
  plain: 3_000,
  concurrencies: CONCURRENCIES,
  answers: ANSWER_MILLISECONDS,
};
const QUICK_SIZES: Sizes = {
  failures: 2_000,
  withoutRows: 4_000,
  replicaFailures: 200,
  plain: 1_000,
  concurrencies: [PEER_WEATHER.concurrency],
  answers: [PEER_WEATHER.twilio],
};

/** Measures a refused campaign: failures at the maximum rate, and how long their SMS take. */
export async function measureStorm(context: BenchContext): Promise<Report> {
  const { quick, warmUpMilliseconds } = context.options;
  const sizes = quick ? QUICK_SIZES : SIZES;
  const turns = 2 * sizes.answers.length + 1;
  const seconds = (warmUpMilliseconds + turns * sizes.plain) / 1_000;
  return withClosers(async (closers) => {
    const twilio = await StormyTwilio.start();
    closers.push(() => twilio.close());
    const options = {
      names: [
        ...sizes.concurrencies.map((concurrency) => `concurrency_${concurrency}`),
        `replicas_${REPLICA_WEATHER.concurrency}`,
      ],
      callbacks: Math.ceil(seconds * MOST_CALLBACKS_PER_SECOND),
      settings: (name: string) => ({
        TWILIO_API_BASE_URL: twilio.baseUrl,
        WORKER_CONCURRENCY: name.slice(name.indexOf('_') + 1),
        STATUS_POLL_AFTER_MINUTES: '0',
      }),
      say: context.say,
    };
    return withServiceWorld(options, async (world) => {
      const storms = 2 * sizes.answers.length;
      const count = WARM_UP_FAILURES + storms * sizes.failures + sizes.withoutRows;
      const failures = await LoadGenerator.start(count, 'failures');
      closers.push(() => failures.close());
      const figures = await measure({ context, world, failures, twilio }, sizes);
      return stormReport(figures, world.postgresVersion);
    });
  });
}

async function measure(surroundings: StormSurroundings, sizes: Sizes): Promise<StormFigures> {
  const { context, world, twilio } = surroundings;
  const storms: Storm[] = [];
  const withoutRows: WithoutRows[] = [];
  for (const [index, concurrency] of sizes.concurrencies.entries()) {
    const service = world.services[index];
    if (service === undefined) throw new Error(`No service has concurrency ${concurrency}`);
    const place = new StormPlace(surroundings, service);
    await place.warmUp();
    for (const answer of sizes.answers) {
      context.say(`${sizes.failures} failures, concurrency ${concurrency}, Twilio at ${answer} ms`);
      storms.push(await storm(place, sizes, { concurrency, twilio: answer }));
    }
    context.say(`${sizes.withoutRows} failures without rows, concurrency ${concurrency}`);
    withoutRows.push({ concurrency, ...(await stormWithoutRows(place, sizes)) });
  }
  const last = world.services[sizes.concurrencies.length];
  if (last === undefined) throw new Error('There is no service for the replicas');
  const replicas = await measureReplicas(new StormPlace(surroundings, last), context, sizes);
  const peers: PeerStorm[] = [];
  for (const contender of SMS_PEERS) {
    const peer = await world.startPeer(contender, { TWILIO_API_BASE_URL: twilio.baseUrl });
    context.say(`${sizes.failures} failures, (${contender.letter}), Twilio at ${PEER_WEATHER.twilio} ms`);
    const { letter, name } = contender;
    peers.push({ letter, name, ...(await peerStorm(new StormPlace(surroundings, peer, true), sizes)) });
  }
  return { storms, withoutRows, replicas, peers };
}

async function storm(place: StormPlace, { failures, plain }: Sizes, weather: Weather): Promise<Storm> {
  const calm = await place.plain(plain);
  const alone = await place.fail(failures, weather.twilio);
  // Its SMS need not take much longer than the turn beside them.
  const sentMeanwhile = (plain / weather.twilio) * weather.concurrency;
  const few = Math.min(failures, Math.ceil(3 * sentMeanwhile));
  const beside = await place.fail(few, weather.twilio, () => place.plain(plain));
  return {
    ...weather,
    ...stormOf(calm, alone, failures),
    meanwhile: beside.meanwhile?.rate ?? NaN,
    smsPerSecondThen: alone.smsPerSecondThen,
    lists: alone.lists,
    memory: Math.max(alone.memory, beside.memory),
  };
}

/** Ends the service, since its fallbacks would keep looking for their messages. */
async function stormWithoutRows(place: StormPlace, sizes: Sizes): Promise<Omit<WithoutRows, 'concurrency'>> {
  const { rate: plain } = await place.plain(sizes.plain);
  const failures = await place.failWithoutRows(sizes.withoutRows);
  await place.close();
  return { plain, failures };
}

async function measureReplicas(
  place: StormPlace,
  { say }: BenchContext,
  { replicaFailures, plain }: Sizes,
): Promise<Replicas> {
  const { concurrency, twilio } = REPLICA_WEATHER;
  await place.warmUp();
  const calm = await place.plain(plain);
  const measureOne = async (instances: number) => {
    say(
      `${replicaFailures} failures, concurrency ${concurrency}, Twilio at ${twilio} ms, instances: ${instances}`,
    );
    const campaign = await place.fail(replicaFailures, twilio);
    const { ofFallback, memory } = stormOf(calm, campaign, replicaFailures);
    return { instances, smsPerSecond: campaign.smsPerSecondThen, ofFallback, memory };
  };
  const one = await measureOne(1);
  await place.addReplica();
  const two = await measureOne(2);
  await place.close();
  return { ...REPLICA_WEATHER, one, two };
}

async function peerStorm(place: StormPlace, { failures, plain }: Sizes) {
  await place.warmUp();
  const calm = await place.plain(plain);
  const campaign = await place.fail(failures, PEER_WEATHER.twilio);
  await place.close();
  return { ...stormOf(calm, campaign, failures), ...campaign.faults };
}

function stormOf(calm: TakenTurn, { rate, cost, smsPerSecond, untilSms, memory }: Campaign, count: number) {
  const ofCallback = { process: calm.processor, postgres: calm.databaseProcessor };
  return {
    plain: calm.rate,
    failures: rate,
    smsPerSecond,
    ofCallback,
    ofFallback: {
      process: cost.process / count - ofCallback.process,
      postgres: cost.postgres / count - ofCallback.postgres,
    },
    untilSms,
    memory,
  };
}
