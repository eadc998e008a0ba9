import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Callbacks, runTurn, type Turn, UNANSWERED } from '../../bench/load/run-turn.js';

type Behaviour = 'answers' | 'waits' | 'breaks';

/** Behaves once like each of these, in order, and then from the first one on. */
function behaving(...behaviours: readonly Behaviour[]): Server {
  let requests = 0;
  return createServer((request, response) => {
    const behaviour = behaviours[requests % behaviours.length];
    requests += 1;
    if (behaviour === 'answers') response.writeHead(204).end();
    if (behaviour === 'breaks') request.socket.destroy();
  });
}

describe('a turn of the load generator', () => {
  const callbacks = new Callbacks(4, () => Buffer.from('Host: localhost\r\nContent-Length: 0\r\n\r\n'));
  let server: Server | undefined;

  async function turnAt(started: Server): Promise<Turn> {
    server = started.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    return { port, connections: 1, milliseconds: 10_000, mode: 'kept', mayRepeat: false };
  }

  afterEach(() => {
    server?.close();
    server?.closeAllConnections();
  });

  it('counts requests without an answer if it has patience, and continues on new connections', async () => {
    const turn = await turnAt(behaving('breaks', 'answers', 'waits'));
    const { answers, acknowledged } = await runTurn({ ...turn, patience: 1_000 }, callbacks);
    expect([...answers]).toEqual([
      [UNANSWERED, 3],
      [204, 1],
    ]);
    expect([...acknowledged]).toEqual([1]);
  });

  it('fails otherwise', async () => {
    const turn = await turnAt(behaving('answers', 'breaks'));
    await expect(runTurn(turn, callbacks)).rejects.toThrow(/closed|ECONNRESET/);
  });
});
