import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, Get, Module } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { Test } from '@nestjs/testing';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { PreparedExpressAdapter } from '../../src/process/express-server.js';

/** More than what the buffers of a connection hold. */
const LENGTH = 20_000_000;

@Controller()
class LongAnswer {
  @Get()
  async answer(): Promise<string> {
    // The server begins to close meanwhile.
    await delay(300);
    return 'x'.repeat(LENGTH);
  }
}

@Module({ controllers: [LongAnswer] })
class LongAnswers {}

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
});
