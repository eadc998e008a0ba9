import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { whatsappStatusParameters } from '../../simulator/callback-parameters.js';
import { TwilioSimulator } from '../../simulator/twilio-simulator.js';
import { PUBLIC_BASE_URL, WEBHOOK_URL } from '../support/application.js';
import { begin, callback, untilItRefusesConnections } from '../support/begun-request.js';
import { DatabaseLine } from '../support/database-line.js';
import { randomMessageSid, seedMessage } from '../support/seed.js';
import { createServiceDatabase, type ServiceDatabase } from '../support/service-database.js';
import { endServices, type ServiceEnv, ServiceProcess } from '../support/service-process.js';
import { killAll, killAndReplace, pairOf, pidsOf, startProcesses } from '../support/service-processes.js';
import { createTestDatabase, describeOnServer } from '../support/test-database.js';
import { until } from '../support/until.js';
import { postCallback } from '../webhooks/post-callback.js';

/** Milliseconds: what `docker stop` waits. */
const LIMIT = 10_000;

// The embedded database serves one process.
describeOnServer('a service of several processes', () => {
  let database: ServiceDatabase;
  let twilio: TwilioSimulator;
  let service: ServiceProcess;

  beforeEach(async () => {
    database = await createServiceDatabase();
    twilio = await TwilioSimulator.start({
      rewriteUrl: (url) => url.replace(PUBLIC_BASE_URL, service.origin),
    });
  });

  afterEach(async () => {
    await endServices();
    await twilio.close();
    await database.remove();
  });

  async function start(env: ServiceEnv = {}): Promise<void> {
    service = await startProcesses({ ...database.env, TWILIO_API_BASE_URL: twilio.baseUrl, ...env });
  }

  /** @returns the message's SID, once the callback is acknowledged. */
  async function report(status: 'sent' | 'undelivered', messageSid = randomMessageSid()): Promise<string> {
    const parameters = whatsappStatusParameters({
      messageSid,
      status,
      ...(status === 'undelivered' && { errorCode: 63049 }),
      to: 'whatsapp:+15557654321',
      from: 'whatsapp:+15550001111',
    });
    const answer = await twilio.sendCallback({ url: WEBHOOK_URL, parameters });
    if (answer.status !== 204) throw new Error(`Answered with ${answer.status}`);
    return messageSid;
  }

  function rows<Row>(sql: string): Promise<Row[]> {
    return database.use((dataSource) => dataSource.query<Row[]>(sql));
  }

  async function storedSids(): Promise<string[]> {
    const events = await rows<{ message_sid: string }>('select message_sid from message_events');
    return events.map(({ message_sid: sid }) => sid);
  }

  function pidsThatStored(): Set<number> {
    const lines = service.lines.filter(({ message }) => String(message).includes('event logged'));
    return new Set(lines.map(({ pid }) => Number(pid)));
  }

  async function untilOneSms(): Promise<void> {
    await until('the SMS to be sent', () => service.messages.includes('SMS fallback sent'));
    expect(twilio.messages).toHaveLength(1);
  }

  it('answers with all of them on one port, and stores what each was sent', async () => {
    await start();
    const sent = [];
    for (let callbacks = 0; callbacks < 6; callbacks += 1) sent.push(await report('sent'));
    expect(pidsThatStored()).toEqual(new Set(pidsOf(service)));
    expect((await storedSids()).toSorted()).toEqual(sent.toSorted());
    expect(service.messages.filter((message) => message === 'The service is configured')).toHaveLength(1);
  });

  it('has one worker among them, with the concurrency that is set', async () => {
    await start({ PROCESSES: '3', WORKER_CONCURRENCY: '2' });
    const health = new Set<string>();
    await until('each kind of process to answer', async () => {
      const answer = await fetch(`${service.origin}/health/ready`, { headers: { Connection: 'close' } });
      const { worker } = (await answer.json()) as { worker: string };
      if (answer.status === 200) health.add(worker);
      return health.size === 2;
    });
    expect([...health].toSorted()).toEqual(['off', 'up']);
    twilio.failNext({ on: 'create', times: Infinity, fault: { type: 'hangBeforeAccepting' } });
    for (let jobs = 0; jobs < 5; jobs += 1) {
      const { twilioSid } = await database.use((dataSource) => seedMessage(dataSource));
      await report('undelivered', twilioSid);
    }
    const posts = () => twilio.requests.filter(({ method }) => method === 'POST');
    await until('SMS to be on their way', () => posts().length >= 2);
    await report('sent');
    expect(
      await rows(
        'select count(*)::int as jobs, count(locked_at)::int as locked from whatsapp_sms_fallback_queue.jobs',
      ),
    ).toEqual([{ jobs: 5, locked: 2 }]);
    expect(posts()).toHaveLength(2);
    killAll(service);
  });

  it('has another worker when the process with it is killed, and sends the SMS once', async () => {
    const { twilioSid } = await database.use((dataSource) => seedMessage(dataSource));
    await start();
    const { worker } = pairOf(service);
    process.kill(worker, 'SIGKILL');
    await until('the primary to notice', () => service.stderr.includes('A process ended'));
    await report('undelivered', twilioSid);
    await untilOneSms();
    const line = JSON.parse(service.stderr) as Record<string, unknown>;
    expect(line).toMatchObject({
      process: worker,
      role: 'web and worker',
      signal: 'SIGKILL',
      pid: service.pid,
    });
  });

  it('replaces a process without the worker that is killed, and its worker goes on', async () => {
    const { twilioSid } = await database.use((dataSource) => seedMessage(dataSource));
    await start();
    await killAndReplace(service, pairOf(service).web);
    await until('both to have stored something', async () => {
      await report('sent');
      const [worker, , successor] = pidsOf(service);
      return pidsThatStored().has(Number(worker)) && pidsThatStored().has(Number(successor));
    });
    await report('undelivered', twilioSid);
    await untilOneSms();
  });

  it('can be ended while its processes are still being started, one after the other', async () => {
    service = await ServiceProcess.start({ ...database.env, PROCESSES: '8' });
    await until('some processes to listen', () => pidsOf(service).length >= 2);
    service.signal('SIGTERM');
    expect(await service.ended).toEqual({ code: 0, signal: null });
    expect(pidsOf(service).length).toBeLessThan(8);
  });

  it('ends all of them on SIGTERM with code 0, and has stored all that it acknowledged', async () => {
    await start();
    const acknowledged: string[] = [];
    const send = async (): Promise<void> => {
      for (;;) acknowledged.push(await report('sent'));
    };
    const sending = Promise.allSettled(Array.from({ length: 10 }, send));
    await until('callbacks to be acknowledged', () => acknowledged.length >= 100);
    const before = Date.now();
    service.signal('SIGTERM');
    expect(await service.ended).toEqual({ code: 0, signal: null });
    expect(Date.now() - before).toBeLessThan(LIMIT / 2);
    await sending;
    const stored = new Set(await storedSids());
    expect(acknowledged.filter((sid) => !stored.has(sid))).toEqual([]);
  });

  it('takes the Ctrl-C of a terminal, which all processes get, and which npm passes on once more', async () => {
    await start();
    const signed = callback(randomMessageSid());
    const outgoing = await begin(service, signed);
    for (const pid of [service.pid, ...pidsOf(service)]) process.kill(pid, 'SIGINT');
    await until('the signal to arrive', () => service.messages.includes('All processes are shut down'));
    service.signal('SIGINT');
    const answered = once(outgoing, 'response');
    outgoing.end(signed.body);
    const [answer] = (await answered) as [IncomingMessage];
    answer.resume();
    expect(answer.statusCode).toBe(204);
    expect(await service.ended).toEqual({ code: 0, signal: null });
    expect(service.messages.filter((message) => message === 'Shutting down')).toHaveLength(2);
  });

  it('is killed by a second signal while it waits for a client', async () => {
    await start();
    const outgoing = await begin(service, callback(randomMessageSid()));
    outgoing.on('error', () => undefined);
    const before = Date.now();
    let ended = false;
    void service.ended.then(() => (ended = true));
    await until('the end', () => {
      service.signal('SIGTERM');
      return ended;
    });
    expect(await service.ended).toEqual({ code: 1, signal: null });
    expect(Date.now() - before).toBeLessThan(LIMIT / 2);
  });

  it('leaves no process behind when the primary is killed, and answers what is under way', async () => {
    await start();
    const messageSid = randomMessageSid();
    const signed = callback(messageSid);
    const outgoing = await begin(service, signed);
    service.signal('SIGKILL');
    await until('its processes to notice', () => service.messages.includes('Shutting down'));
    await untilItRefusesConnections(service);
    const answered = once(outgoing, 'response');
    outgoing.end(signed.body);
    const [answer] = (await answered) as [IncomingMessage];
    answer.resume();
    expect(answer.statusCode).toBe(204);
    // The output ends when the last process that writes to it has ended.
    expect(await service.ended).toEqual({ code: null, signal: 'SIGKILL' });
    expect(await storedSids()).toEqual([messageSid]);
  });
});

describeOnServer('a service of several processes whose database goes away while they start', () => {
  let line: DatabaseLine;

  beforeEach(async () => {
    line = await DatabaseLine.open(await createTestDatabase());
  });

  afterEach(async () => {
    await endServices();
    await line.close();
  });

  it('goes on with the process that listens, and tries the others again', async () => {
    const service = await ServiceProcess.start({ DATABASE_URL: line.url, PROCESSES: '3' });
    line.cut();
    const failed = () => service.stderr.split('\n').filter((text) => text.includes('A process ended'));
    await until('each of the others to have failed', () => failed().length >= 2);
    expect(JSON.parse(failed()[0] ?? '')).toMatchObject({ role: 'web', code: 1, afterMilliseconds: 500 });
    expect(service.stderr).toContain('✖ The database cannot be reached');
    line.mend();
    expect((await postCallback(service)).status).toBe(204);
    await until('all processes to listen', () => service.messages.includes('All processes listen'));
    await until('all to have told so', () => pidsOf(service).length === 3);
    service.signal('SIGTERM');
    expect(await service.ended).toEqual({ code: 0, signal: null });
  });
});
