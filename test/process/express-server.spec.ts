import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, Get, Module, Post, Req } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { Test } from '@nestjs/testing';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { PreparedExpressAdapter } from '../../src/process/express-server.js';

/** More than the buffers of a connection hold. */
const LENGTH = 20_000_000;

@Controller()
class LongAnswer {
  @Get()
  async answer(): Promise<string> {
    // The server starts to close meanwhile.
    await delay(300);
    return 'x'.repeat(LENGTH);
  }

  @Get('short')
  short(): string {
    return 'short';
  }
}

@Module({ controllers: [LongAnswer] })
class LongAnswers {}

let bytes = 0;

@Controller()
class Counting {
  @Post()
  async count(@Req() request: IncomingMessage): Promise<string> {
    bytes = 0;
    for await (const piece of request) bytes += (piece as Buffer).length;
    return 'all of it';
  }
}

@Module({ controllers: [Counting] })
class CountingModule {}

describe('the HTTP server', () => {
  it.each([
    [900, 900, /all of it/],
    [20_000, 999, /^$/],
  ])('is sent %i one-byte pieces of a body and reads %i', async (chunks, taken, expected) => {
    const module = await Test.createTestingModule({ imports: [CountingModule] }).compile();
    const options = { bodyParser: false };
    const app = module.createNestApplication<NestExpressApplication>(new PreparedExpressAdapter(), options);
    await app.listen(0, '127.0.0.1');
    const socket = connect(Number(new URL(await app.getUrl()).port), '127.0.0.1');
    socket.on('error', () => undefined);
    const answer: Buffer[] = [];
    socket.on('data', (data) => answer.push(data));
    const closed = once(socket, 'close').catch(() => undefined);
    const head = ['POST / HTTP/1.1', 'Host: x', 'Connection: close', 'Transfer-Encoding: chunked', '', ''];
    socket.write(`${head.join('\r\n')}${'1\r\na\r\n'.repeat(chunks)}0\r\n\r\n`);
    await closed;
    expect(bytes).toBe(taken);
    expect(Buffer.concat(answer).toString()).toMatch(expected);
    await app.close();
  });
});

describe('the HTTP server, while it closes', () => {
  let app: NestExpressApplication;

  beforeEach(async () => {
    const module = await Test.createTestingModule({ imports: [LongAnswers] }).compile();
    app = module.createNestApplication<NestExpressApplication>(new PreparedExpressAdapter());
    await app.listen(0, '127.0.0.1');
  });

  afterEach(() => app.close());

  it('waits for a client that reads its answer slowly', async () => {
    const outgoing = get(await app.getUrl());
    const answered = once(outgoing, 'response');
    await once(app.getHttpServer(), 'request');
    const closed = app.close();
    const [answer] = (await answered) as [IncomingMessage];
    let length = 0;
    for await (const chunk of answer) {
      if (length === 0) await delay(500);
      length += (chunk as Buffer).length;
    }
    expect(length).toBe(LENGTH);
    await closed;
  });

  it.each([
    ['has begun to arrive', 'GET /short HTTP/1.1\r\nHo', 'st: x\r\n\r\n'],
    ['is the first one of its connection', '', 'GET /short HTTP/1.1\r\nHost: x\r\n\r\n'],
  ])('answers a request that %s', async (_, before, after) => {
    const socket = connect(Number(new URL(await app.getUrl()).port), '127.0.0.1');
    const pieces: Buffer[] = [];
    socket.on('data', (data: Buffer) => pieces.push(data));
    const ended = once(socket, 'close');
    await once(app.getHttpServer(), 'connection');
    socket.write(before);
    await delay(50);
    const closed = app.close();
    await delay(200);
    socket.write(after);
    await ended;
    expect(Buffer.concat(pieces).toString()).toMatch(/^HTTP\/1\.1 200 /);
    await closed;
  });
});
