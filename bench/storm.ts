import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { type RunningService, type ServiceWorld, withServiceWorld } from './bench-world.js';
import { ACCOUNT, failedNumberOf, failedSidOf } from './callbacks.js';
import { withClosers } from './closers.js';
import { LoadGenerator } from './load/load-generator.js';
import type { TurnResult } from './load/run-turn.js';
import type { BenchContext } from './measurement.js';
import { processorTime } from './processor-time.js';
import { asJson, circumstances, type Report } from './report/report.js';
import { percentiles, type Percentiles } from './report/statistics.js';
import { takeTurn, type TakenTurn, WrongContenderError } from './take-turn.js';

/** More than the service stores in a second. */
const MOST_CALLBACKS_PER_SECOND = 15_000;

const CONCURRENCIES = [10, 50, 200];
const ANSWER_MILLISECONDS = [5, 100, 400];

/** How long the SMS of one storm may take, in milliseconds. */
const STORM_LIMIT_MILLISECONDS = 300_000;

const SAMPLE_MILLISECONDS = 100;

interface Sizes {
  readonly failures: number;
  /** The length of a turn with plain callbacks, in milliseconds. */
  readonly plain: number;
  readonly concurrencies: readonly number[];
  readonly answers: readonly number[];
}

const SIZES: Sizes = {
  failures: 3_000,
  plain: 3_000,
  concurrencies: CONCURRENCIES,
  answers: ANSWER_MILLISECONDS,
};
const QUICK_SIZES: Sizes = { failures: 2_000, plain: 1_000, concurrencies: [50], answers: [100] };

/** What one storm is like. */
interface Weather {
  readonly concurrency: number;
  /** How long Twilio takes for an answer, in milliseconds. */
  readonly twilio: number;
}

interface Storm extends Weather {
  /** Callbacks a second: plain ones, failures, and plain ones while the SMS are sent. */
  readonly plain: number;
  readonly failures: number;
  readonly meanwhile: number;
  /** After the failures have come: until then, the callbacks come first. */
  readonly smsPerSecond: number;
  /** Processor time in microseconds: of a plain callback, and of a failure with its SMS. */
  readonly ofCallback: { readonly process: number; readonly postgres: number };
  readonly ofFallback: { readonly process: number; readonly postgres: number };
  /** Milliseconds from a callback to the request for its SMS. */
  readonly untilSms: Percentiles;
  /** The most memory of the service, in bytes. */
  readonly memory: number;
}

/** Measures a refused campaign: failures at the maximum rate, and how long their SMS take. */
export async function measureStorm(context: BenchContext): Promise<Report> {
  const { quick, warmUpMilliseconds } = context.options;
  const sizes = quick ? QUICK_SIZES : SIZES;
  const turns = 2 * sizes.answers.length;
  const seconds = (warmUpMilliseconds + turns * sizes.plain) / 1_000;
  return withClosers(async (closers) => {
    const twilio = await StormyTwilio.start();
    closers.push(() => twilio.close());
    const options = {
      names: sizes.concurrencies.map((concurrency) => `concurrency_${concurrency}`),
      callbacks: Math.ceil(seconds * MOST_CALLBACKS_PER_SECOND),
      settings: (name: string) => ({
        TWILIO_API_BASE_URL: twilio.baseUrl,
        WORKER_CONCURRENCY: name.slice(name.indexOf('_') + 1),
        STATUS_POLL_AFTER_MINUTES: '0',
      }),
      say: context.say,
    };
    return withServiceWorld(options, async (world) => {
      const failures = sizes.failures * 2 * sizes.answers.length + WARM_UP_FAILURES;
      const load = await LoadGenerator.start(failures, 'failures');
      closers.push(() => load.close());
      const storms: Storm[] = [];
      for (const service of world.services) {
        const place = new StormPlace(context, world, service, load, twilio);
        await place.prepare(failures);
        for (const answer of sizes.answers) storms.push(await place.storm(sizes, answer));
      }
      return reportOf(storms, world.postgresVersion);
    });
  });
}

const WARM_UP_FAILURES = 300;

/** A service on which one storm follows the other. */
class StormPlace {
  #firstCallback = 0;
  #firstFailure = 0;

  constructor(
    private readonly context: BenchContext,
    private readonly world: ServiceWorld,
    private readonly service: RunningService,
    private readonly load: LoadGenerator,
    private readonly twilio: StormyTwilio,
  ) {}

  /** Stores the messages that will fail, and that they were sent. */
  async prepare(failures: number): Promise<void> {
    const sids = Array.from({ length: failures }, (_, index) => failedSidOf(index));
    await this.service.database.query(STORE_MESSAGES, [sids, ACCOUNT.sid]);
    await this.service.database.query('vacuum analyze');
    this.context.say(`${this.service.contender.name}: warming up`);
    await this.#plain(this.context.options.warmUpMilliseconds);
    this.twilio.answerMilliseconds = 5;
    await this.#fail(WARM_UP_FAILURES);
  }

  async storm({ failures, plain }: Sizes, twilio: number): Promise<Storm> {
    const concurrency = Number(this.service.contender.name.split('_')[1]);
    this.context.say(`${failures} failures, concurrency ${concurrency}, Twilio at ${twilio} ms`);
    this.twilio.answerMilliseconds = twilio;
    const calm = await this.#plain(plain);
    const alone = await this.#fail(failures);
    const [beside] = await Promise.all([this.#fail(failures, () => this.#plain(plain))]);
    const share = (total: number, callback: number) => total / failures - callback;
    return {
      concurrency,
      twilio,
      plain: calm.rate,
      failures: alone.rate,
      meanwhile: beside.meanwhile?.rate ?? NaN,
      smsPerSecond: alone.smsPerSecond,
      ofCallback: { process: calm.processor, postgres: calm.databaseProcessor },
      ofFallback: {
        process: share(alone.process, calm.processor),
        postgres: share(alone.postgres, calm.databaseProcessor),
      },
      untilSms: alone.untilSms,
      memory: Math.max(alone.memory, beside.memory),
    };
  }

  async #plain(milliseconds: number): Promise<TakenTurn> {
    this.context.interrupted.throwIfAborted();
    const taken = await takeTurn(this.world, this.service, {
      connections: this.context.options.connections,
      mode: 'kept',
      keepRows: true,
      firstIndex: this.#firstCallback,
      milliseconds,
    });
    this.#firstCallback += taken.result.acknowledged.length;
    return taken;
  }

  /** Lets messages fail at the maximum rate, and waits until each has its SMS. @param meanwhile runs after the burst. */
  async #fail(count: number, meanwhile?: () => Promise<TakenTurn>) {
    const { server, database } = this.service;
    const firstIndex = this.#firstFailure;
    this.#firstFailure += count;
    this.twilio.forget();
    const times = () => [server.processorTime, processorTime(this.world.postgres.pid)] as const;
    const [process, postgres] = times();
    const turn = await this.load.run({
      port: server.port,
      connections: this.context.options.connections,
      mode: 'kept',
      mayRepeat: false,
      milliseconds: STORM_LIMIT_MILLISECONDS,
      firstIndex,
      limit: count,
    });
    if (turn.acknowledged.length < count) {
      throw new WrongContenderError(
        `Only ${turn.acknowledged.length} of ${count} failures were answered 204`,
      );
    }
    const cameAt = now();
    const besides = meanwhile?.();
    const memory = await this.#untilSent(turn, count, database);
    const [processNow, postgresNow] = times();
    return {
      rate: count / (turn.milliseconds / 1_000),
      smsPerSecond: this.#smsPerSecond(cameAt),
      untilSms: this.#untilSms(turn),
      memory,
      process: processNow - process,
      postgres: postgresNow - postgres,
      meanwhile: await besides,
    };
  }

  /** @returns the most memory of the service meanwhile. @throws WrongContenderError for a missing or a second SMS. */
  async #untilSent(turn: TurnResult, count: number, database: RunningService['database']): Promise<number> {
    const sids = Array.from(turn.acknowledged, failedSidOf);
    const end = performance.now() + STORM_LIMIT_MILLISECONDS;
    let memory = 0;
    for (;;) {
      memory = Math.max(memory, this.service.server.residentMemory);
      this.context.interrupted.throwIfAborted();
      if (this.twilio.arrivals.size >= count) {
        const [row] = await database.query<{ sent: number }>(COUNT_SENT, [sids]);
        if (row?.sent === count) break;
      }
      if (performance.now() > end) throw new WrongContenderError('Not every failure has its SMS');
      await delay(SAMPLE_MILLISECONDS);
    }
    if (this.twilio.requests > count) throw new WrongContenderError('Some failures have a second SMS');
    return memory;
  }

  #smsPerSecond(since: number): number {
    const later = [...this.twilio.arrivals.values()].filter((arrivedAt) => arrivedAt > since);
    return later.length / ((Math.max(...later) - since) / 1_000);
  }

  #untilSms(turn: TurnResult): Percentiles {
    const arrivals = Array.from(
      turn.acknowledged,
      (index) => this.twilio.arrivals.get(failedNumberOf(index)) ?? NaN,
    );
    const sorted = arrivals
      .map((arrivedAt, position) => arrivedAt - (turn.sentAt[position] ?? NaN))
      .sort((left, right) => left - right);
    return percentiles(sorted);
  }
}

/** A Twilio that accepts every SMS after a while. */
class StormyTwilio {
  /** When each recipient's request came, in milliseconds since 1970. */
  readonly arrivals = new Map<string, number>();
  requests = 0;
  answerMilliseconds = 100;
  #messages = 0;

  private constructor(private readonly server: Server) {
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      void this.#answer(request, response);
    });
  }

  static async start(): Promise<StormyTwilio> {
    const server = createServer({ keepAliveTimeout: 60_000 });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new StormyTwilio(server);
  }

  get baseUrl(): string {
    const { port } = this.server.address() as AddressInfo;
    return `http://127.0.0.1:${port}`;
  }

  forget(): void {
    this.arrivals.clear();
    this.requests = 0;
  }

  async close(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, 'close');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parameters = new URLSearchParams(await text(request));
    const to = parameters.get('To');
    if (request.method !== 'POST' || to === null) {
      response.writeHead(404, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ status: 404, code: 20404, message: 'Not found' }));
      return;
    }
    this.requests += 1;
    this.arrivals.set(to, now());
    await delay(this.answerMilliseconds);
    this.#messages += 1;
    response.writeHead(201, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({
        sid: `SM5e${String(this.#messages).padStart(30, '0')}`,
        account_sid: ACCOUNT.sid,
        status: 'queued',
        to,
        from: parameters.get('From'),
        body: parameters.get('Body'),
        date_created: new Date().toUTCString(),
      }),
    );
  }
}

/** Milliseconds since 1970. */
function now(): number {
  return performance.timeOrigin + performance.now();
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

function reportOf(storms: readonly Storm[], postgresVersion: string): Report {
  const columns = [
    ['concurrency', ({ concurrency }: Storm) => String(concurrency)],
    ['Twilio ms', ({ twilio }: Storm) => String(twilio)],
    ['plain/s', ({ plain }: Storm) => plain.toFixed(0)],
    [
      'failures/s',
      ({ plain, failures }: Storm) => `${failures.toFixed(0)} (${(failures / plain).toFixed(2)})`,
    ],
    [
      'plain/s then',
      ({ plain, meanwhile }: Storm) => `${meanwhile.toFixed(0)} (${(meanwhile / plain).toFixed(2)})`,
    ],
    ['SMS/s', ({ smsPerSecond }: Storm) => smsPerSecond.toFixed(0)],
    [
      'CPU µs',
      ({ ofCallback }: Storm) => `${ofCallback.process.toFixed(0)} + ${ofCallback.postgres.toFixed(0)}`,
    ],
    [
      'of an SMS',
      ({ ofFallback }: Storm) => `${ofFallback.process.toFixed(0)} + ${ofFallback.postgres.toFixed(0)}`,
    ],
    [
      'times',
      ({ ofCallback, ofFallback }: Storm) =>
        `${(ofFallback.process / ofCallback.process).toFixed(1)}, ${(ofFallback.postgres / ofCallback.postgres).toFixed(1)}`,
    ],
    [
      'p50, p99 s',
      ({ untilSms }: Storm) => `${(untilSms.p50 / 1_000).toFixed(1)}, ${(untilSms.p99 / 1_000).toFixed(1)}`,
    ],
    ['MB', ({ memory }: Storm) => (memory / 1e6).toFixed(0)],
  ] as const;
  const rows = [
    columns.map(([name]) => name),
    ...storms.map((storm) => columns.map(([, cell]) => cell(storm))),
  ];
  const widths = columns.map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)) + 2);
  const table = rows.map((row) => row.map((cell, index) => cell.padStart(widths[index] ?? 0)).join(''));
  const lines = [
    '',
    ...table,
    '',
    'plain/s: other callbacks while nothing is sent; then: while the SMS of a burst are sent. In brackets: times plain/s.',
    'CPU: processor time of a plain callback, and of an SMS besides its callback; of the process + of PostgreSQL.',
    '',
  ];
  return {
    text: lines.join('\n'),
    files: { 'storm.json': asJson({ ...circumstances(postgresVersion), storms }) },
  };
}
