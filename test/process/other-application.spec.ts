import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../src/database/data-source-options.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { DomainEventsModule } from '../../src/domain-events/domain-events.module.js';
import { OnDomainEvent } from '../../src/domain-events/on-domain-event.decorator.js';
import { FallbackModule } from '../../src/fallback/fallback.module.js';
import { FollowerModule } from '../../src/follower/follower.module.js';
import { MessageEventsModule } from '../../src/message-events/message-events.module.js';
import { MessageEventsService } from '../../src/message-events/message-events.service.js';
import type { WhatsappPolicyFailed } from '../../src/message-events/policy-failure.js';
import { MessagesModule } from '../../src/messages/messages.module.js';
import { DATA_SOURCE, DATA_SOURCE_TOKEN } from '../../src/process/inject-database.js';
import { TwilioAccounts } from '../../src/twilio/twilio-accounts.js';
import { TwilioModule } from '../../src/twilio/twilio.module.js';
import { WebhooksModule } from '../../src/webhooks/webhooks.module.js';
import { createTestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';

class Alerts {
  readonly received: WhatsappPolicyFailed[] = [];

  @OnDomainEvent('whatsapp.policy_failed')
  onPolicyFailed(event: WhatsappPolicyFailed): void {
    this.received.push(event);
  }
}

/** An application of another team, with its own configuration. */
function applicationOn(database: DatabaseConnection) {
  const domainEvents = DomainEventsModule.forRoot({
    connection: database.client,
    noPreparedStatements: database.embedded,
  });
  const messageEvents = MessageEventsModule.forRootAsync({
    imports: [domainEvents],
    useFactory: () => Promise.resolve({ policyFailureErrorCodes: ['63024'] }),
  });
  const twilio = TwilioModule.forRoot({
    accounts: [{ accountSid: 'AC1', authTokens: ['token'] }],
    apiBaseUrl: 'http://127.0.0.1:1',
  });

  const webhooks = WebhooksModule.forRootAsync({
    imports: [messageEvents, twilio],
    useFactory: () => ({ publicBaseUrl: 'https://hooks.example.com' }),
  });
  const follower = FollowerModule.forRootAsync({ imports: [MessagesModule], useFactory: () => ({}) });
  const fallback = FallbackModule.forRootAsync({
    imports: [domainEvents, messageEvents, follower, MessagesModule, twilio],
    useFactory: () => ({}),
  });

  @Module({
    imports: [
      TypeOrmModule.forRoot({ ...dataSourceOptions(database), name: DATA_SOURCE }),
      domainEvents,
      messageEvents,
      twilio,
      webhooks,
      follower,
      fallback,
    ],
    providers: [Alerts],
  })
  class OtherApplication {}
  return OtherApplication;
}

describe('an application of another team', () => {
  let database: DatabaseConnection;
  let environment: NodeJS.ProcessEnv;

  beforeEach(async () => {
    database = await createTestDatabase();
    environment = process.env;
    process.env = {};
  });

  afterEach(async () => {
    process.env = environment;
    await database.close();
  });

  it('uses the feature modules with plain options and no environment variable', async () => {
    const app = await NestFactory.create(applicationOn(database), {
      logger: false,
      abortOnError: false,
      rawBody: true,
    });
    await app.init();
    const { id } = await app.get(MessageEventsService, { strict: false }).record({
      messageSid: 'SM1',
      messageStatus: 'failed',
      channel: 'whatsapp',
      toNumber: '+15557654321',
      fromNumber: '+15550001111',
      errorCode: '63024',
      errorMessage: null,
      accountSid: 'AC1',
      payload: { MessageSid: 'SM1' },
      source: 'callback',
      smsFallbackId: null,
      callbackUrl: null,
    });
    expect(
      await app
        .get<DataSource>(DATA_SOURCE_TOKEN)
        .query<unknown[]>('select id, error_code, payload from message_events'),
    ).toEqual([{ id, error_code: '63024', payload: { MessageSid: 'SM1' } }]);
    expect(app.get(TwilioAccounts, { strict: false }).authTokens('AC1')).toEqual(['token']);
    const [event] = await until('the alert', () => {
      const { received } = app.get(Alerts);
      return received.length > 0 && received;
    });
    expect(event).toMatchObject({ messageEventId: id, messageSid: 'SM1', errorCode: '63024' });
    await app.close();
  });
});
