import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { ApiRequestClient } from '../../src/twilio/api-request-client.js';
import { until } from '../support/until.js';

describe('the client of Twilio’s API', () => {
  /** Accepts connections, and never answers. */
  const silent = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
  });
  const sockets: Socket[] = [];

  beforeAll(async () => {
    await new Promise<void>((resolve) => {
      silent.listen(0, '127.0.0.1', resolve);
    });
  });

  afterAll(() => {
    silent.close();
  });

  it('has a connection for each of a hundred workers, however slow Twilio is', async () => {
    const { port } = silent.address() as AddressInfo;
    const client = new ApiRequestClient({ apiBaseUrl: `https://127.0.0.1:${port}` });
    const requests = Array.from({ length: 110 }, () =>
      client.request({ method: 'get', uri: 'https://api.twilio.com/2010-04-01/Accounts.json' }),
    );
    const outcomes = Promise.allSettled(requests);
    try {
      await until('each request to have its connection', () => sockets.length === requests.length);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
    for (const { status } of await outcomes) expect(status).toBe('rejected');
  });
});
