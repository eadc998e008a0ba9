import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type CanActivate,
  Controller,
  type DynamicModule,
  type ExecutionContext,
  Get,
  Injectable,
  Module,
  SetMetadata,
  type Type,
} from '@nestjs/common';
import { APP_GUARD, Reflector } from '@nestjs/core';
import { EventEmitter2, EventEmitterModule, OnEvent } from '@nestjs/event-emitter';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { Test } from '@nestjs/testing';
import { getDataSourceToken, InjectRepository, TypeOrmModule } from '@nestjs/typeorm';
import { Column, type DataSource, Entity, PrimaryGeneratedColumn, type Repository } from 'typeorm';
import { demoAccount } from '../../simulator/demo-account.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { OnDomainEvent, type WhatsappPolicyFailed, WhatsappSmsFallbackModule } from '../../src/index.js';
import {
  type EmbeddedTestDatabase,
  InMemorySmsSender,
  startEmbeddedPostgres,
  untilFallback,
  whatsappStatusParameters,
} from '../../testing/index.js';
import { CollectedLogs } from '../support/collected-logs.js';
import { until } from '../support/until.js';
import { postCallback } from '../webhooks/post-callback.js';

const PUBLIC_BASE_URL = 'https://hooks.example.com';
const PATH = 'hooks/whatsapp';
const Public = () => SetMetadata('public', true);

@Entity('orders')
class Order {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('text')
  status!: string;
}

@Injectable()
class Orders {
  readonly heard: string[] = [];
  readonly failures: WhatsappPolicyFailed[] = [];

  constructor(
    @InjectRepository(Order) readonly orders: Repository<Order>,
    readonly events: EventEmitter2,
  ) {}

  @OnEvent('order.*')
  note(name: string): void {
    this.heard.push(name);
  }

  @OnDomainEvent('whatsapp.policy_failed')
  onFailure(event: WhatsappPolicyFailed): void {
    this.failures.push(event);
  }
}

/** Refuses each request that no route declares public. */
@Injectable()
class UsersOnly implements CanActivate {
  constructor(private readonly reflector: Reflector) {}

  canActivate(context: ExecutionContext): boolean {
    return this.reflector.getAllAndOverride<boolean>('public', [context.getHandler(), context.getClass()]);
  }
}

@Controller()
class OwnMetricsController {
  @Get('metrics')
  @Public()
  metrics() {
    return 'ours 1';
  }
}

/** An application with a data source, an emitter, a guard, and metrics of its own. */
function teamModule(service: DynamicModule, { client }: DatabaseConnection, serviceFirst: boolean): Type {
  const own = [
    TypeOrmModule.forRoot({
      ...{ type: 'postgres', extra: client, installExtensions: false, synchronize: true },
      ...{ autoLoadEntities: true, entityPrefix: 'team_' },
    }),
    EventEmitterModule.forRoot({ wildcard: true }),
  ];
  @Module({
    imports: [...(serviceFirst ? [service, ...own] : [...own, service]), TypeOrmModule.forFeature([Order])],
    controllers: [OwnMetricsController],
    providers: [Orders, { provide: APP_GUARD, useClass: UsersOnly }],
  })
  class TeamModule {}
  return TeamModule;
}

describe('beside an application with parts of the same kind,', () => {
  let database: EmbeddedTestDatabase;
  let app: NestExpressApplication;

  beforeEach(async () => {
    database = await startEmbeddedPostgres();
  });

  afterEach(async () => {
    await app.close();
    await database.close();
  });

  it.each([
    ['first', true],
    ['last', false],
  ])('the service sends, and leaves them alone: it is imported %s', async (_, serviceFirst) => {
    const sender = new InMemorySmsSender();
    const service = WhatsappSmsFallbackModule.forRoot({
      connection: database.connection,
      publicBaseUrl: PUBLIC_BASE_URL,
      accounts: [{ accountSid: demoAccount.sid, authTokens: [demoAccount.authToken] }],
      defaultFrom: '+15550001111',
      webhook: { path: PATH, decorators: [Public()] },
      operations: false,
      smsSender: { useValue: sender },
      originalMessages: {
        useValue: {
          findByTwilioSid: (id) =>
            Promise.resolve({ id, body: 'Hello', conversationId: null, company: null }),
        },
      },
      messageRecorder: false,
    });
    const module = await Test.createTestingModule({
      imports: [teamModule(service, database.connection, serviceFirst)],
    })
      .setLogger(new CollectedLogs())
      .compile();
    app = module.createNestApplication<NestExpressApplication>({ rawBody: true });
    await app.listen(0, '127.0.0.1');
    const origin = await app.getUrl();
    const team = app.get(Orders);

    const message = { messageSid: 'SM1', to: '+15557654321', from: '+15550001111' };
    for (const outcome of [{ status: 'sent' }, { status: 'undelivered', errorCode: 63049 }]) {
      const parameters = whatsappStatusParameters({ ...message, ...outcome });
      expect((await postCallback({ origin }, { target: `/${PATH}`, parameters })).status).toBe(204);
    }
    expect(await untilFallback(app, 'SM1')).toMatchObject({ state: 'sent' });
    expect(sender.sms).toMatchObject([
      { statusCallbackUrl: expect.stringContaining(`${PUBLIC_BASE_URL}/${PATH}?`) },
    ]);
    await until('the failure to be heard', () => team.failures.length === 1);

    await team.orders.insert({ status: 'new' });
    const ours = app.get<DataSource>(getDataSourceToken());
    expect(await ours.query('select status from team_orders')).toEqual([{ status: 'new' }]);
    await team.events.emitAsync('order.created', 'order.created');
    expect(team.heard).toEqual(['order.created']);
    const metrics = await fetch(`${origin}/metrics`);
    expect([await metrics.text(), metrics.headers.get('content-security-policy')]).toEqual(['ours 1', null]);
  });
});
