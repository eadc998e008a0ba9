import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { begin, callback, untilItRefusesConnections } from '../support/begun-request.js';
import { randomMessageSid } from '../support/seed.js';
import { createServiceDatabase, type ServiceDatabase } from '../support/service-database.js';
import { endServices, ServiceProcess } from '../support/service-process.js';

/** The milliseconds that `docker stop` waits. */
const LIMIT = 10_000;

describe('a service that is stopped', () => {
  let database: ServiceDatabase;
  let service: ServiceProcess;

  beforeEach(async () => {
    database = await createServiceDatabase();
    await database.use((dataSource) => dataSource.query<unknown>('select 1'));
    service = await ServiceProcess.start(database.env);
  });

  afterEach(async () => {
    await endServices();
    await database.remove();
  });

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'by %s accepts no new request, finishes the one in flight, and ends with code 0',
    async (signal) => {
      const messageSid = randomMessageSid();
      const signed = callback(messageSid);
      const outgoing = await begin(service, signed);
      service.signal(signal);
      await untilItRefusesConnections(service);
      const answered = once(outgoing, 'response');
      outgoing.end(signed.body);
      const [answer] = (await answered) as [IncomingMessage];
      answer.resume();
      expect(answer.statusCode).toBe(204);
      expect(await service.ended).toEqual({ code: 0, signal: null });
      expect(service.messages).toContain('Shutting down');
      const events = await database.use((dataSource) =>
        dataSource.query<unknown[]>('select message_sid from message_events'),
      );
      expect(events).toEqual([{ message_sid: messageSid }]);
    },
  );

  it('does not wait for open and idle connections', async () => {
    const agent = new Agent({ keepAlive: true });
    const outgoing = get(`${service.origin}/health/live`, { agent });
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
    answer.resume();
    await once(answer, 'end');
    const before = Date.now();
    service.signal('SIGTERM');
    expect(await service.ended).toEqual({ code: 0, signal: null });
    expect(Date.now() - before).toBeLessThan(LIMIT / 2);
    agent.destroy();
  });

  it('does not wait for a connection whose answer is outstanding', async () => {
    const agent = new Agent({ keepAlive: true });
    const signed = callback(randomMessageSid());
    const outgoing = await begin(service, signed, agent);
    service.signal('SIGTERM');
    await untilItRefusesConnections(service);
    const before = Date.now();
    outgoing.end(signed.body);
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
    answer.resume();
    expect(answer.headers.connection).toBe('keep-alive');
    expect(await service.ended).toEqual({ code: 0, signal: null });
    expect(Date.now() - before).toBeLessThan(LIMIT / 2);
    agent.destroy();
  });

  it('does not wait for a connection that was opened in advance', async () => {
    const { hostname, port } = new URL(service.origin);
    const connection = connect(Number(port), hostname);
    await once(connection, 'connect');
    // The service has accepted the earlier requests.
    await fetch(`${service.origin}/health/live`);
    const before = Date.now();
    service.signal('SIGTERM');
    expect(await service.ended).toEqual({ code: 0, signal: null });
    expect(Date.now() - before).toBeLessThan(LIMIT / 2);
    connection.destroy();
  });

  it('ends in time, with code 0, although a client never sends the rest of its request', async () => {
    const outgoing = await begin(service, callback(randomMessageSid()));
    const cutOff = once(outgoing, 'error');
    const before = Date.now();
    service.signal('SIGTERM');
    expect(await service.ended).toEqual({ code: 0, signal: null });
    expect(Date.now() - before).toBeLessThan(LIMIT);
    await cutOff;
  });
});
