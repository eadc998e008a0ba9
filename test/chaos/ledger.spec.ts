import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { Ledger } from '../../chaos/ledger.js';
import { whatsappStatusParameters } from '../../simulator/callback-parameters.js';
import { TwilioSimulator } from '../../simulator/twilio-simulator.js';
import { ReplicaEnds } from '../../chaos/replica-ends.js';

const SID = 'SM00000000000000000000000000000001';

/** Answers with these HTTP statuses in turn. For a 0, it breaks the connection. */
async function serve(...answers: readonly number[]): Promise<Server> {
  const left = [...answers];
  const server = createServer((request, response) => {
    request.resume();
    const answer = left.shift() ?? 500;
    if (answer === 0) request.socket.destroy();
    else response.writeHead(answer).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

describe('the ledger of callbacks', () => {
  let twilio: TwilioSimulator;
  let ledger: Ledger;

  beforeEach(async () => {
    twilio = await TwilioSimulator.start();
    ledger = new Ledger(twilio);
  });

  afterEach(() => twilio.close());

  async function tell(status: string, ...answers: readonly number[]): Promise<void> {
    const server = await serve(...answers);
    const { port } = server.address() as AddressInfo;
    const isDown = answers.length === 0;
    if (isDown) server.close();
    const parameters = whatsappStatusParameters({
      messageSid: SID,
      status,
      to: '+15550000001',
      from: '+14155238886',
    });
    const url = `http://127.0.0.1:${String(port)}/#rc=${String(Math.max(0, answers.length - 1))}&rp=all`;
    await twilio.sendCallback({ url, parameters }).catch(() => undefined);
    server.close();
  }

  it('counts from the first request that may have been stored to the first that was acknowledged', async () => {
    const before = Date.now();
    await tell('delivered', 503, 0, 204);
    const toldAt = ledger.toldAt(SID) ?? 0;
    expect(toldAt).toBeGreaterThanOrEqual(before);
    // The simulator pauses before each of the two retries.
    expect(ledger.acknowledgedAt(SID)).toBeGreaterThan(toldAt + 200);
    expect(ledger.statusesOf(SID)).toEqual(new Set(['delivered']));
    expect(ledger.requests).toBe(3);
  });

  it('assumes that a request without an answer may have been stored', async () => {
    await tell('delivered', 0);
    expect(ledger.toldAt(SID)).not.toBeNull();
    expect(ledger.acknowledgedAt(SID)).toBeNull();
    expect(ledger.acknowledged()).toEqual([]);
  });

  it('knows that nothing is stored without a connection', async () => {
    await tell('delivered');
    expect(ledger.toldAt(SID)).toBeNull();
    expect(ledger.requests).toBe(1);
  });

  it('keeps the statuses of a message apart', async () => {
    await tell('sent', 204);
    await tell('failed', 503);
    expect(ledger.acknowledgedAt(SID, ['sent'])).not.toBeNull();
    expect(ledger.acknowledgedAt(SID, ['failed', 'undelivered'])).toBeNull();
    expect(ledger.toldAt(SID, ['failed', 'undelivered'])).not.toBeNull();
    expect(ledger.toldAt(SID, ['delivered', 'read'])).toBeNull();
    expect(ledger.acknowledged()).toEqual([{ messageSid: SID, status: 'sent' }]);
  });
});

describe('the ends of replicas', () => {
  const refused = { name: 'A', code: 1, signal: null, wasUp: false } as const;

  it('count a start without a database as refused, also if it is stopped meanwhile', () => {
    const ends = new ReplicaEnds();
    ends.addStop(refused, 110, true);
    ends.addOther(refused, true);
    expect(ends).toMatchObject({ refusedStarts: 2, uncleanStops: [], deaths: [] });
  });

  it('are faults if the database was there, or if the replica had started', () => {
    const ends = new ReplicaEnds();
    ends.addStop(refused, 110, false);
    ends.addStop({ ...refused, wasUp: true }, 120, true);
    ends.addOther(refused, false);
    expect(ends.uncleanStops).toEqual([
      'replica A ended with 1 110 ms after SIGTERM',
      'replica A ended with 1 120 ms after SIGTERM',
    ]);
    expect(ends.deaths).toHaveLength(1);
  });
});
