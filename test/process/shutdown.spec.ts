import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { Agent, type ClientRequest, get, type IncomingMessage, request } from 'node:http';
import { whatsappStatusParameters } from '../../simulator/callback-parameters.js';
import { demoAccount } from '../../simulator/demo-account.js';
import { type SignedRequest, signRequest } from '../../simulator/signed-request.js';
import { PUBLIC_BASE_URL, WEBHOOK_PATH, WEBHOOK_URL } from '../support/application.js';
import { randomMessageSid } from '../support/seed.js';
import { createServiceDatabase, type ServiceDatabase } from '../support/service-database.js';
import { endServices, ServiceProcess } from '../support/service-process.js';
import { until } from '../support/until.js';

/** Milliseconds: what `docker stop` waits. */
const LIMIT = 10_000;

function callback(messageSid: string): SignedRequest {
  return signRequest({
    url: WEBHOOK_URL,
    authToken: demoAccount.authToken,
    parameters: whatsappStatusParameters({
      messageSid,
      status: 'sent',
      to: '+15557654321',
      from: '+15550001111',
    }),
  });
}

/** The service has seen the request, whose body has yet to come: it has told the client to go on. */
async function begin(service: ServiceProcess, { headers, body }: SignedRequest): Promise<ClientRequest> {
  const outgoing = request(service.origin + WEBHOOK_PATH, {
    method: 'POST',
    headers: {
      ...headers,
      Host: new URL(PUBLIC_BASE_URL).host,
      'Content-Length': Buffer.byteLength(body),
      Expect: '100-continue',
    },
  });
  outgoing.flushHeaders();
  await once(outgoing, 'continue');
  return outgoing;
}

async function untilItRefusesConnections(service: ServiceProcess): Promise<void> {
  await until('the service to refuse connections', () =>
    fetch(`${service.origin}/health/live`, { headers: { Connection: 'close' } }).then(
      () => false,
      () => true,
    ),
  );
}

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
    'by %s takes no new request, finishes the one in flight, and ends with code 0',
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

  it('does not wait for connections that are open and idle', async () => {
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
