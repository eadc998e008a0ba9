import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Disturbance } from './database-servers.js';
import type { Evidence } from './findings.js';
import { judge, type Verdict } from './judge.js';
import { countRecordedAsSent, countWithoutFallback, openWork } from './inspection.js';
import { Obligations } from './obligations.js';
import { Ledger } from './ledger.js';
import { Load } from './load.js';
import type { ChaosOptions } from './options.js';
import { MessagePlanner } from './planned-message.js';
import { QueueWatch } from './queue-watch.js';
import { Random } from './random.js';
import { untilReady } from './readiness.js';
import type { World } from './world.js';

const COMPANIES = 10;
const PROGRESS_MILLISECONDS = 10_000;

/** How many checks in a row must find no work. */
const CALM_LOOKS = 3;

/** @param until ends the running disturbance. */
export type Disturb = (world: World, until: AbortSignal, say: (text: string) => void) => Disturbance;

/** One run: load and faults, then neither, then the draining, then the counts. */
export class ChaosRun {
  readonly disturbance: Disturbance;
  readonly ledger: Ledger;
  readonly load: Load;
  drainMilliseconds = 0;
  readonly obligations: Obligations;
  readonly #watch: QueueWatch;
  readonly #ending = new AbortController();

  private constructor(
    private readonly world: World,
    private readonly options: ChaosOptions,
    planner: MessagePlanner,
    disturb: Disturb,
    private readonly interrupted: AbortSignal,
    private readonly say: (text: string) => void,
  ) {
    setMaxListeners(0, this.#ending.signal);
    this.disturbance = disturb(world, this.#ending.signal, say);
    this.ledger = new Ledger(world.twilio);
    this.load = new Load(planner, world.database, world.twilio, new Random(options.seed + 3));
    this.#watch = new QueueWatch(world);
    const asksTwilio = options.pollAfterMinutes !== null;
    this.obligations = new Obligations(this.load, this.ledger, world.twilio, asksTwilio);
  }

  /** @throws the reason of `interrupted`, or the error that prevents the run. */
  static async play(
    world: World,
    options: ChaosOptions,
    disturb: Disturb,
    interrupted: AbortSignal,
    say: (text: string) => void,
  ): Promise<{ run: ChaosRun; verdict: Verdict; evidence: Evidence }> {
    const companies = await world.database.addCompanies(COMPANIES);
    const random = new Random(options.seed + 2);
    const planner = new MessagePlanner(random, companies, options.pollAfterMinutes !== null);
    for (const replica of world.replicas) replica.start();
    await untilReady(world.replicas, interrupted);
    const run = new ChaosRun(world, options, planner, disturb, interrupted, say);
    await run.#disturb();
    const unready = await run.#recover();
    await run.#drain();
    say('counting');
    const { load, ledger, obligations, disturbance } = run;
    const { verdict, evidence } = await judge({
      world,
      load,
      ledger,
      obligations,
      disturbance,
      standstills: run.#watch.standstills,
      unready,
    });
    return { run, verdict, evidence };
  }

  async #disturb(): Promise<void> {
    const { mode, minutes, messagesPerSecond } = this.options;
    this.say(`load and ${this.disturbance.description} begin`);
    const progress = setInterval(() => {
      this.#report();
    }, PROGRESS_MILLISECONDS);
    const end = (): void => {
      this.#ending.abort();
    };
    const timer = mode === 'faults' ? setTimeout(end, minutes * 60_000) : undefined;
    this.interrupted.addEventListener('abort', end);
    try {
      await Promise.all([
        this.load.run(messagesPerSecond, this.#ending.signal),
        this.disturbance.run().finally(timer === undefined ? end : null),
        this.#watch.run(this.#ending.signal),
      ]);
    } finally {
      // If one of them fails, the others would continue.
      end();
      clearTimeout(timer);
      clearInterval(progress);
    }
    this.interrupted.throwIfAborted();
  }

  /** @returns the replicas that do not recover after the disturbance. */
  async #recover(): Promise<string[]> {
    this.say('no more load and faults');
    for (const replica of this.world.replicas) replica.start();
    try {
      await untilReady(this.world.replicas, this.interrupted);
      return [];
    } catch (error) {
      this.interrupted.throwIfAborted();
      return [error instanceof Error ? error.message : String(error)];
    }
  }

  /** Waits until there is no work. The last callbacks of the SMS may cause more. */
  async #drain(): Promise<void> {
    const startedAt = Date.now();
    const end = startedAt + this.options.drainMinutes * 60_000;
    let requests: number;
    do {
      requests = this.ledger.requests;
      await this.#untilCalm(end);
      await this.world.twilio.settled();
    } while (this.ledger.requests > requests && Date.now() < end);
    this.drainMilliseconds = Date.now() - startedAt;
    this.interrupted.throwIfAborted();
  }

  async #untilCalm(end: number): Promise<void> {
    const { database } = this.world;
    let nextReport = 0;
    for (let calm = 0; calm < CALM_LOOKS && Date.now() < end;) {
      await delay(1_000, undefined, { signal: this.interrupted });
      const { openFallbacks, jobs } = await openWork(database);
      const notBegun = await countWithoutFallback(database, this.obligations.told());
      const notResent = await countRecordedAsSent(database, this.obligations.neverSent());
      calm = openFallbacks + jobs + notBegun + notResent === 0 ? calm + 1 : 0;
      if (Date.now() >= nextReport) {
        this.say(
          `draining: ${String(openFallbacks)} fallbacks open, ${String(notBegun)} not begun, ` +
            `${String(notResent)} SMS to send again, ${String(jobs)} jobs in the queue`,
        );
        nextReport = Date.now() + PROGRESS_MILLISECONDS;
      }
    }
  }

  #report(): void {
    const { attempts, policyFailures } = this.ledger;
    this.say(
      [
        `${String(this.load.messages.size)} messages`,
        `callbacks: ${String(attempts.acknowledged)} acknowledged, ${String(attempts.unavailable)} answered 503, ` +
          `${String(attempts.unanswered)} not answered`,
        `${String(policyFailures.size)} policy failures, ${String(this.world.twilio.messages.length)} SMS`,
      ].join('; '),
    );
  }
}
