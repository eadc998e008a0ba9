import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import {
  type ArgumentsHost,
  type CanActivate,
  Catch,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  HttpCode,
  HttpException,
  Logger,
  Module,
  Post,
  type Type,
  UseFilters,
  UseGuards,
} from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { raw, type Request, type Response } from 'express';
import { Test } from '@nestjs/testing';
import { TypeOrmModule } from '@nestjs/typeorm';
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import type { DataSource } from 'typeorm';
import { demoAccount } from '../../simulator/demo-account.js';
import { dataSourceOptions } from '../../src/database/data-source-options.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { DomainEventsModule } from '../../src/domain-events/domain-events.module.js';
import { MessageEventsModule } from '../../src/message-events/message-events.module.js';
import { DATA_SOURCE, DATA_SOURCE_TOKEN } from '../../src/process/inject-database.js';
import { TwilioModule } from '../../src/twilio/twilio.module.js';
import { Callback, type SignedCallback } from '../../src/webhooks/callback-request.js';
import { TwilioSignatureGuard } from '../../src/webhooks/twilio-signature.guard.js';
import { WebhooksModule } from '../../src/webhooks/webhooks.module.js';
import { PUBLIC_BASE_URL, WEBHOOK_PATH } from '../support/application.js';
import { CollectedLogs } from '../support/collected-logs.js';
import { createTestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';
import { jsonCallback } from './json-callback.js';
import { errorBody, nextAddress, postCallback, statusParameters } from './post-callback.js';

const exceptions: HttpException[] = [];

/** Catches everything that Nest's own filter would. */
@Catch(HttpException)
class CollectingFilter implements ExceptionFilter<HttpException> {
  catch(exception: HttpException, host: ArgumentsHost): void {
    exceptions.push(exception);
    host.switchToHttp().getResponse<Response>().status(exception.getStatus()).json(exception.getResponse());
  }
}

/** Resolves when the client has gone. */
class PatientGuard implements CanActivate {
  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<Request>();
    await new Promise((resolve) => request.once('close', resolve));
    return true;
  }
}

/** Another Twilio callback that the team accepts. The guard runs twice here, which does no harm. */
@Controller('inbound')
@UseGuards(TwilioSignatureGuard)
@UseFilters(CollectingFilter)
class InboundController {
  @Post()
  @HttpCode(200)
  @UseGuards(TwilioSignatureGuard)
  receive(@Callback() { parameters }: SignedCallback): unknown {
    return parameters;
  }
}

@Controller('patient')
@UseGuards(PatientGuard, TwilioSignatureGuard)
@UseFilters(CollectingFilter)
class PatientController {
  @Post()
  receive(): void {
    throw new Error('The client has gone before its body had come');
  }
}

/** An application of another team, with none of our environment variables. */
function teamModule(database: DatabaseConnection) {
  const { client, embedded } = database;
  const domainEvents = DomainEventsModule.forRoot({ connection: client, noPreparedStatements: embedded });
  const twilio = TwilioModule.forRoot({
    accounts: [{ accountSid: demoAccount.sid, authTokens: [demoAccount.authToken] }],
  });
  const messageEvents = MessageEventsModule.forRootAsync({ imports: [domainEvents], useFactory: () => ({}) });
  const webhooks = WebhooksModule.forRootAsync({
    imports: [messageEvents, twilio],
    useFactory: () => ({ publicBaseUrl: PUBLIC_BASE_URL, refusalsPerMinute: 2 }),
  });
  @Module({
    imports: [TypeOrmModule.forRoot({ ...dataSourceOptions(database), name: DATA_SOURCE }), webhooks, twilio],
    controllers: [InboundController, PatientController],
  })
  class TeamModule {}
  return TeamModule;
}

describe('the webhook in an application of another team', () => {
  let database: DatabaseConnection;
  let module: Type;
  let app: NestExpressApplication;

  beforeAll(async () => {
    database = await createTestDatabase();
    // TypeORM warns of the second default data source in this process. The first is the AppModule's.
    Logger.overrideLogger(false);
    module = teamModule(database);
  });

  afterEach(async () => {
    await app.close();
  });

  afterAll(async () => {
    await database.close();
  });

  async function start(
    options: { rawBody?: boolean; bodyParser?: boolean },
    prefix = '',
    configure: (app: NestExpressApplication) => unknown = () => undefined,
  ): Promise<{ origin: string }> {
    const testingModule = await Test.createTestingModule({ imports: [module] })
      .setLogger(new CollectedLogs())
      .compile();
    app = testingModule.createNestApplication<NestExpressApplication>(options);
    app.setGlobalPrefix(prefix);
    configure(app);
    await app.listen(0, '127.0.0.1');
    const { port } = app.getHttpServer().address() as AddressInfo;
    return { origin: `http://127.0.0.1:${port}` };
  }

  function payloads(messageSid: unknown) {
    return app
      .get<DataSource>(DATA_SOURCE_TOKEN)
      .query('select payload from message_events where message_sid = $1', [messageSid]);
  }

  it("works behind Nest's own body parser with rawBody: true", async () => {
    const own = await start({ rawBody: true });
    const parameters = statusParameters({ 'Meta[x]': '1', Media: Array.from({ length: 30 }, String) });
    expect((await postCallback(own, { parameters })).status).toBe(204);
    expect(await payloads(parameters.MessageSid)).toEqual([{ payload: parameters }]);
    expect((await postCallback(own, jsonCallback(statusParameters()))).status).toBe(204);
    expect((await postCallback(own, { signature: 'forged' })).status).toBe(403);
    expect((await postCallback(own, { body: '' })).status).toBe(403);
  });

  const lossy: [
    string,
    { rawBody?: boolean; bodyParser?: boolean },
    (app: NestExpressApplication) => unknown,
  ][] = [
    ["Nest's own parsers", {}, () => undefined],
    ['a parser of its own', { bodyParser: false }, (app) => app.useBodyParser('json')],
    ['a parser that takes anything', { bodyParser: false }, (app) => app.use(raw({ type: '*/*' }))],
  ];

  it.each(lossy)(
    'refuses to start behind %s without rawBody, with a remedy',
    async (_, options, configure) => {
      await expect(start(options, '', configure)).rejects.toThrow(/\{ rawBody: true \}/);
    },
  );

  it('starts behind a parser of the application that keeps the bytes', async () => {
    const own = await start({ rawBody: true, bodyParser: false }, '', (app) => {
      app.useBodyParser('urlencoded', { extended: true });
      app.useBodyParser('json');
    });
    expect((await postCallback(own)).status).toBe(204);
  });

  it('refuses to start on another platform', async () => {
    const start = Test.createTestingModule({ imports: [module] })
      .setLogger(new CollectedLogs())
      .compile()
      .then((testingModule) => {
        app = testingModule.createNestApplication<NestExpressApplication>();
        jest.spyOn(app.getHttpAdapter(), 'getType').mockReturnValue('fastify');
        return app.init();
      });
    await expect(start).rejects.toThrow(
      'needs @nestjs/platform-express, and this application runs on fastify',
    );
  });

  it('works under a global prefix', async () => {
    const own = await start({ rawBody: true }, 'v1');
    expect((await postCallback(own, { target: `/v1${WEBHOOK_PATH}` })).status).toBe(204);
    expect((await postCallback(own)).status).toBe(404);
  });

  it('says what is missing if a middleware of the application takes the body', async () => {
    const own = await start({ bodyParser: false }, '', (app) => {
      app.use((request: Request, _: Response, next: () => void) => {
        request.once('end', next).resume();
      });
    });
    const answer = await postCallback(own);
    expect(answer.status).toBe(500);
    expect(errorBody(answer).message).toContain('rawBody: true');
  });

  it.each([{ bodyParser: false }, { rawBody: true }])(
    'lends its guard to another controller, which reads an unread body: %j',
    async (options) => {
      const own = await start(options);
      const parameters = statusParameters({ Body: 'STOP' });
      const answer = await postCallback(own, { target: '/inbound', parameters });
      expect(answer.status).toBe(200);
      expect(JSON.parse(answer.text)).toEqual(parameters);
      expect((await postCallback(own, { target: '/inbound', signature: 'forged' })).status).toBe(403);
    },
  );

  it('does not call an inbound message misdirected in a controller that accepts it', async () => {
    const own = await start({ bodyParser: false });
    const parameters = statusParameters({ Body: 'STOP', NumMedia: '0', SmsStatus: 'received' });
    Reflect.deleteProperty(parameters, 'MessageStatus');
    expect((await postCallback(own, { target: '/inbound', parameters })).status).toBe(200);
    const answer = await postCallback(own, { target: '/inbound', parameters, signature: 'forged' });
    expect(errorBody(answer).message).toBe('The request is not signed by a configured Twilio account');
    expect(errorBody(await postCallback(own, { parameters })).message).toEqual([
      expect.stringContaining('this is an inbound message'),
    ]);
  });

  it("reports Express's refusals to the filters of another controller", async () => {
    const own = await start({ bodyParser: false });
    exceptions.length = 0;
    const headers = { 'Content-Encoding': 'gzip' };
    expect((await postCallback(own, { target: '/inbound', headers })).status).toBe(415);
    expect((await postCallback(own, { target: '/inbound', body: 'x'.repeat(70_000) })).status).toBe(413);
    expect(exceptions.map((exception) => exception.getStatus())).toEqual([415, 413]);
  });

  it.each(['inbound', 'patient'])(
    'ends a request whose client has gone before its body arrived: %s',
    async (path) => {
      const { origin } = await start({ bodyParser: false });
      exceptions.length = 0;
      const socket = connect(Number(new URL(origin).port), '127.0.0.1');
      await once(socket, 'connect');
      socket.write(
        `POST /${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{`,
      );
      await once(app.getHttpServer(), 'request');
      socket.destroy();
      await until('the request has ended', () => exceptions.length > 0);
      expect(exceptions.map((exception) => exception.getStatus())).toEqual([400]);
    },
  );

  it('takes the number of refusals a minute as an option', async () => {
    const own = await start({ rawBody: true });
    const from = nextAddress();
    const statuses = [];
    for (let sent = 0; sent < 3; sent += 1) {
      statuses.push((await postCallback(own, { signature: null, from })).status);
    }
    expect(statuses).toEqual([403, 403, 429]);
  });
});
