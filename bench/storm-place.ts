import { setTimeout as delay } from 'node:timers/promises';
import type { RunningService, ServiceWorld } from './bench-world.js';
import { ACCOUNT, failedNumberOf, failedSidOf } from './callbacks.js';
import type { LoadGenerator } from './load/load-generator.js';
import type { TurnResult } from './load/run-turn.js';
import type { BenchContext } from './measurement.js';
import { processorTime } from './processor-time.js';
import type { Cost, Faults } from './report/storm-report.js';
import { percentiles, type Percentiles } from './report/statistics.js';
import type { ServerProcess } from './server-process.js';
import { now, type StormyTwilio } from './stormy-twilio.js';
import { takeTurn, type TakenTurn, WrongContenderError } from './take-turn.js';

/** How long the SMS of one storm may take, in milliseconds. */
const STORM_LIMIT_MILLISECONDS = 600_000;

/** A peer without a request to Twilio for so long has lost the SMS that are missing. */
const PEER_LIMIT_MILLISECONDS = 20_000;

/** How long Twilio waits for the answer to a callback, see docs/reliability.md. */
const TWILIO_PATIENCE_MILLISECONDS = 15_000;

const SAMPLE_MILLISECONDS = 100;

export const WARM_UP_FAILURES = 300;

/** Failures that came at the maximum rate, and their SMS. */
export interface Campaign {
  /** Failures accepted a second. */
  readonly rate: number;
  /** SMS a second, from the first failure to the last SMS. */
  readonly smsPerSecond: number;
  /** The same after the failures have come: until then, the callbacks come first. NaN if there was no SMS after that. */
  readonly smsPerSecondThen: number;
  /** Milliseconds from a callback to the request for its SMS. */
  readonly untilSms: Percentiles;
  /** The most memory of all instances, in bytes. */
  readonly memory: number;
  /** The total for all failures and their SMS. */
  readonly cost: Cost;
  /** Other callbacks during the SMS. */
  readonly meanwhile: TakenTurn | undefined;
  /** How often Twilio was asked for its SMS. */
  readonly lists: number;
  readonly faults: Faults;
}

/** What the failures of one measurement have in common. */
export interface StormSurroundings {
  readonly context: BenchContext;
  readonly world: ServiceWorld;
  readonly failures: LoadGenerator;
  readonly twilio: StormyTwilio;
}

/** A service or a peer on which one storm follows the other. */
export class StormPlace {
  readonly #servers: ServerProcess[];
  #firstCallback = 0;
  #firstFailure = 0;

  /** @param isPeer whether faults are counted. Those of this service are errors. */
  constructor(
    private readonly surroundings: StormSurroundings,
    private readonly service: RunningService,
    private readonly isPeer = false,
  ) {
    this.#servers = [service.server];
  }

  async warmUp(): Promise<void> {
    const { context } = this.surroundings;
    context.say(`${this.service.contender.name}: warming up`);
    await this.plain(context.options.warmUpMilliseconds);
    await this.fail(WARM_UP_FAILURES, 5);
  }

  /** Starts one more instance on the same database. Callbacks still go to the first one. */
  async addReplica(): Promise<void> {
    this.#servers.push(await this.surroundings.world.startReplica(this.service));
    await this.fail(WARM_UP_FAILURES, 5);
  }

  async close(): Promise<void> {
    for (const server of this.#servers) await server.close();
  }

  async plain(milliseconds: number): Promise<TakenTurn> {
    const { context, world } = this.surroundings;
    context.interrupted.throwIfAborted();
    const taken = await takeTurn(world, this.service, {
      connections: context.options.connections,
      mode: 'kept',
      keepRows: true,
      firstIndex: this.#firstCallback,
      milliseconds,
    });
    this.#firstCallback += taken.result.acknowledged.length;
    return taken;
  }

  /**
   * Stores messages, lets them fail at the maximum rate, and waits until each has its SMS.
   * @param answerMilliseconds how long Twilio takes for an answer.
   * @param meanwhile runs after the burst.
   */
  async fail(
    count: number,
    answerMilliseconds: number,
    meanwhile?: () => Promise<TakenTurn>,
  ): Promise<Campaign> {
    const { twilio } = this.surroundings;
    await this.#store(count);
    twilio.forget();
    twilio.answerMilliseconds = answerMilliseconds;
    const before = this.#cost;
    const memory = this.#watchMemory();
    try {
      const turn = await this.#accept(count);
      const cameAt = now();
      const [besides] = await Promise.all([meanwhile?.(), this.#untilSent(turn)]);
      const after = this.#cost;
      return {
        rate: turn.acknowledged.length / (turn.milliseconds / 1_000),
        smsPerSecond: this.#smsPerSecond(
          turn.sentAt.reduce((first, time) => Math.min(first, time), Infinity),
        ),
        smsPerSecondThen: this.#smsPerSecond(cameAt),
        untilSms: this.#untilSms(turn),
        memory: memory.most,
        cost: { process: after.process - before.process, postgres: after.postgres - before.postgres },
        meanwhile: besides,
        lists: twilio.lists,
        faults: this.#faults(count, turn),
      };
    } finally {
      memory.stop();
    }
  }

  /** Reports failures of messages that are not in `messages`. @returns failures accepted per second. */
  async failWithoutRows(count: number): Promise<number> {
    const turn = await this.#accept(count);
    const missing = await this.service.database.countMissing(turn.acknowledged, failedSidOf);
    if (missing > 0) throw new WrongContenderError(`${missing} failures were answered 204 and are no rows`);
    return count / (turn.milliseconds / 1_000);
  }

  /** Stores the messages that fail next, and that they were sent just now. */
  async #store(count: number): Promise<void> {
    const { database } = this.service;
    const sids = Array.from({ length: count }, (_, index) => failedSidOf(this.#firstFailure + index));
    await database.query(STORE_MESSAGES, [sids, ACCOUNT.sid]);
    await database.query('vacuum (analyze) messages, message_events');
  }

  get #cost(): Cost {
    return {
      process: this.#servers.reduce((sum, server) => sum + server.processorTime, 0),
      postgres: processorTime(this.surroundings.world.postgres.pid),
    };
  }

  async #accept(count: number): Promise<TurnResult> {
    const { context, failures } = this.surroundings;
    context.interrupted.throwIfAborted();
    const firstIndex = this.#firstFailure;
    this.#firstFailure += count;
    const turn = await failures.run({
      port: this.service.server.port,
      connections: context.options.connections,
      mode: 'kept',
      mayRepeat: false,
      milliseconds: STORM_LIMIT_MILLISECONDS,
      firstIndex,
      limit: count,
      ...(this.isPeer && { patience: TWILIO_PATIENCE_MILLISECONDS }),
    });
    if (turn.acknowledged.length < count && !this.isPeer) {
      throw new WrongContenderError(
        `Only ${turn.acknowledged.length} of ${count} failures were answered 204`,
      );
    }
    return turn;
  }

  #watchMemory(): { readonly most: number; readonly stop: () => void } {
    const watch = {
      most: 0,
      stop: () => {
        clearInterval(timer);
      },
    };
    const sample = (): void => {
      const all = this.#servers.reduce((sum, server) => sum + server.residentMemory, 0);
      watch.most = Math.max(watch.most, all);
    };
    const timer = setInterval(sample, SAMPLE_MILLISECONDS);
    sample();
    return watch;
  }

  /** @throws WrongContenderError if this service has a missing or a second SMS. */
  async #untilSent(turn: TurnResult): Promise<void> {
    const { context, twilio } = this.surroundings;
    const isOver = this.isPeer ? this.#peerIsOver(turn) : this.#serviceIsOver(turn);
    while (!(await isOver())) {
      await delay(SAMPLE_MILLISECONDS);
      context.interrupted.throwIfAborted();
    }
    if (twilio.requests > turn.acknowledged.length && !this.isPeer) {
      throw new WrongContenderError('Some failures have a second SMS');
    }
  }

  #serviceIsOver(turn: TurnResult): () => Promise<boolean> {
    const { twilio } = this.surroundings;
    const sids = Array.from(turn.acknowledged, failedSidOf);
    const end = performance.now() + STORM_LIMIT_MILLISECONDS;
    return async () => {
      if (performance.now() > end) throw new WrongContenderError('Not every failure has its SMS');
      if (twilio.arrivals.size < sids.length) return false;
      const [row] = await this.service.database.query<{ sent: number }>(COUNT_SENT, [sids]);
      return row?.sent === sids.length;
    };
  }

  /** A peer's rows say nothing about its SMS, so only its requests to Twilio count. */
  #peerIsOver(turn: TurnResult): () => Promise<boolean> {
    const { twilio } = this.surroundings;
    let [requests, changedAt] = [twilio.requests, performance.now()];
    return () => {
      const time = performance.now();
      if (twilio.requests !== requests) [requests, changedAt] = [twilio.requests, time];
      const hasAll = twilio.arrivals.size >= turn.acknowledged.length && twilio.open === 0;
      // After the last answer, a queue still has to finish its jobs.
      const limit = hasAll ? 5 * SAMPLE_MILLISECONDS : PEER_LIMIT_MILLISECONDS;
      return Promise.resolve(time - changedAt > limit);
    };
  }

  #faults(count: number, { acknowledged }: TurnResult): Faults {
    const { arrivals, requests } = this.surroundings.twilio;
    return {
      notAccepted: count - acknowledged.length,
      repeatedSms: requests - arrivals.size,
      withoutSms: acknowledged.filter((index) => !arrivals.has(failedNumberOf(index))).length,
    };
  }

  #smsPerSecond(since: number): number {
    const later = [...this.surroundings.twilio.arrivals.values()].filter((arrivedAt) => arrivedAt > since);
    const last = later.reduce((latest, arrivedAt) => Math.max(latest, arrivedAt), since);
    return later.length / ((last - since) / 1_000);
  }

  #untilSms(turn: TurnResult): Percentiles {
    const times = Array.from(turn.acknowledged, (index, position) => {
      const arrivedAt = this.surroundings.twilio.arrivals.get(failedNumberOf(index));
      return (arrivedAt ?? NaN) - (turn.sentAt[position] ?? NaN);
    });
    return percentiles(times.filter((time) => !Number.isNaN(time)).sort((left, right) => left - right));
  }
}

const COUNT_SENT = `
select count(*)::int as sent from sms_fallbacks where original_message_sid = any ($1) and state = 'sent'`;

const STORE_MESSAGES = `
with company as (
  insert into companies (name, phone_number) values ('Example Clinic', '+15005550006') returning id
),
conversation as (
  insert into conversations (company_id) select id from company returning id
),
added as (
  insert into messages (conversation_id, twilio_sid, direction, channel, body, status)
  select conversation.id, twilio_sid, 'outbound', 'whatsapp', 'Your appointment is tomorrow at 10:00.', 'sent'
    from conversation, unnest($1::text[]) as twilio_sid
)
insert into message_events (message_sid, message_status, channel, account_sid, payload)
select twilio_sid, 'sent', 'whatsapp', $2, '{}' from unnest($1::text[]) as twilio_sid`;
