import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { TcpProxy } from '../../chaos/tcp-proxy.js';

/** Answers everything with its name. */
async function startServer(name: string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', () => socket.write(name));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const portOf = (server: Server) => (server.address() as AddressInfo).port;

async function ask(socket: Socket): Promise<string> {
  socket.write('who is there?');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  return answer.toString();
}

describe('the address of a database', () => {
  const closers: (() => unknown)[] = [];

  async function arrange() {
    const servers = [await startServer('old'), await startServer('new')] as const;
    const [old, next] = [portOf(servers[0]), portOf(servers[1])];
    const proxy = await TcpProxy.start(old);
    closers.push(() => proxy.close(), ...servers.map((server) => () => server.close()));
    const open = () => {
      const socket = connect({ port: proxy.port, host: '127.0.0.1' });
      socket.on('error', () => undefined);
      closers.push(() => socket.destroy());
      return socket;
    };
    return { proxy, old, next, open };
  }

  afterEach(() => {
    for (const close of closers.splice(0)) void close();
  });

  it('sends new connections elsewhere and keeps the open ones', async () => {
    const { proxy, next, open } = await arrange();
    const before = open();
    await expect(ask(before)).resolves.toBe('old');
    proxy.leadTo(next);
    await expect(ask(open())).resolves.toBe('new');
    await expect(ask(before)).resolves.toBe('old');
  });

  it('ends a connection if nothing listens at the target', async () => {
    const { proxy, open } = await arrange();
    const server = await startServer('gone');
    const port = portOf(server);
    server.close();
    await once(server, 'close');
    proxy.leadTo(port);
    await once(open(), 'close');
  });

  it('cuts every connection', async () => {
    const { proxy, open } = await arrange();
    const socket = open();
    await ask(socket);
    const closed = once(socket, 'close');
    proxy.cut();
    await closed;
  });

  it('neither answers nor ends connections to a host without power until it is back', async () => {
    const { proxy, old, open } = await arrange();
    const before = open();
    await ask(before);
    proxy.silence(old);
    const during = open();
    await once(during, 'connect');
    let heard = 0;
    for (const socket of [before, during]) {
      socket.on('data', () => (heard += 1));
      socket.on('close', () => (heard += 1));
      socket.write('who is there?');
    }
    // An answer through the proxy would have arrived by now.
    const direct = connect({ port: old, host: '127.0.0.1' });
    closers.push(() => direct.destroy());
    for (let turn = 0; turn < 3; turn += 1) await ask(direct);
    expect(heard).toBe(0);
    // `once` would reject, because the connections end with an error.
    const closed = [before, during].map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    proxy.unsilence(old);
    await Promise.all(closed);
    await expect(ask(open())).resolves.toBe('old');
  });
});
