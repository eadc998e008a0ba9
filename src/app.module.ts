import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { type Env, ENV, EnvModule } from './config/env.js';
import { DashboardModule } from './dashboard/dashboard.module.js';
import {
  dataSourceOptions,
  healthConnectionOptions,
  jobQueuePoolOptions,
} from './database/data-source-options.js';
import { type DatabaseConnection, queueSchemaOf } from './database/database-connection.js';
import { DATABASE_CONNECTION, DatabaseModule } from './database/database.module.js';
import { openForService } from './database/open-database.js';
import { DomainEventsModule } from './domain-events/domain-events.module.js';
import { FallbackModule } from './fallback/fallback.module.js';
import { BEGIN, CLAIM, RECORD_SENT } from './fallback/fallback.sql.js';
import { FollowerModule } from './follower/follower.module.js';
import { HealthModule } from './health/health.module.js';
import { MessageEventsModule } from './message-events/message-events.module.js';
import { MessageEventsService } from './message-events/message-events.service.js';
import { FIND_EVENTS } from './message-events/message-history.js';
import { RECORD_AND_PUBLISH, RECORD_MESSAGE_EVENTS } from './message-events/message-events.store.js';
import { MessagesModule } from './messages/messages.module.js';
import { FallbackOperationsModule } from './operations/fallback-retries.js';
import { OperationsModule } from './operations/operations.module.js';
import { DATA_SOURCE } from './process/inject-database.js';
import { StartupSummary } from './process/startup-summary.js';
import { RetentionModule } from './retention/retention.module.js';
import { StatusPollingModule } from './status-polling/status-polling.module.js';
import type { TwilioAccount } from './twilio/twilio.module-definition.js';
import { TwilioModule } from './twilio/twilio.module.js';
import { WebhooksModule } from './webhooks/webhooks.module.js';

/** Composition root: the only place that turns the environment into module options. */

/** Periodic work runs only in processes that take jobs; the others just publish. */
const periodicWork = (env: Env) => (env.WORKER_CONCURRENCY === 0 ? { intervalMilliseconds: 0 } : {});

const database = DatabaseModule.forRootAsync({
  imports: [EnvModule],
  inject: [ENV],
  useFactory: ({ DATABASE_URL, DATABASE_SCHEMA, EMBEDDED_DATA_DIR }: Env) => ({
    DATABASE_URL,
    DATABASE_SCHEMA,
    EMBEDDED_DATA_DIR,
  }),
});

/**
 * Jobs that are taken for each request to Twilio that may be made at once: while one waits for its answer, the other one's
 * steps are committed.
 */
const JOBS_FOR_A_REQUEST = 2;

/** The statements of callbacks and of an SMS: planning them took up to twice as long as running them. */
const PREPARED_STATEMENTS = new Map([
  [RECORD_MESSAGE_EVENTS, 'record_message_events'],
  [RECORD_AND_PUBLISH, 'record_and_publish'],
  [CLAIM, 'claim'],
  [FIND_EVENTS, 'find_events'],
  [BEGIN, 'begin_sending'],
  [RECORD_SENT, 'record_sent'],
]);

const typeOrm = TypeOrmModule.forRootAsync({
  name: DATA_SOURCE,
  imports: [database],
  inject: [DATABASE_CONNECTION],
  useFactory: (connection: DatabaseConnection) => ({
    ...dataSourceOptions(connection, PREPARED_STATEMENTS),
    toRetry: () => false,
  }),
  dataSourceFactory: openForService,
});

const domainEvents = DomainEventsModule.forRootAsync({
  imports: [database, EnvModule],
  inject: [DATABASE_CONNECTION, ENV],
  useFactory: (database: DatabaseConnection, { WORKER_CONCURRENCY: concurrency }: Env) => ({
    connection: jobQueuePoolOptions(database, concurrency),
    schema: queueSchemaOf(database.schema),
    concurrency: concurrency * JOBS_FOR_A_REQUEST,
    noPreparedStatements: database.embedded,
    // PGlite's socket does not forward notifications.
    pollIntervalMilliseconds: database.embedded ? 200 : undefined,
  }),
});

const twilio = TwilioModule.forRootAsync({
  imports: [EnvModule],
  inject: [ENV],
  useFactory: (env: Env) => ({
    accounts: twilioAccounts(env),
    webhookSharedKeys: env.TWILIO_WEBHOOK_SHARED_KEYS,
    apiBaseUrl: env.TWILIO_API_BASE_URL,
    ...periodicWork(env),
  }),
});

const messageEvents = MessageEventsModule.forRootAsync({
  imports: [EnvModule, domainEvents],
  inject: [ENV],
  useFactory: (env: Env) => ({ policyFailureErrorCodes: env.FALLBACK_ERROR_CODES }),
});

const follower = FollowerModule.forRootAsync({
  imports: [EnvModule, MessagesModule],
  inject: [ENV],
  useFactory: periodicWork,
});

const webhooks = WebhooksModule.forRootAsync({
  imports: [EnvModule, messageEvents, twilio],
  inject: [ENV],
  useFactory: (env: Env) => ({ publicBaseUrl: env.PUBLIC_BASE_URL }),
});

const fallback = FallbackModule.forRootAsync({
  imports: [EnvModule, domainEvents, messageEvents, follower, MessagesModule, twilio],
  inject: [ENV],
  useFactory: (env: Env) => ({
    defaultFrom: env.TWILIO_PHONE_NUMBER_REMINDERS,
    messagingService:
      env.TWILIO_MESSAGING_SERVICE_SID === undefined
        ? undefined
        : { accountSid: env.TWILIO_ACCOUNT_SID, sid: env.TWILIO_MESSAGING_SERVICE_SID },
    statusCallbackUrl:
      env.PUBLIC_BASE_URL === undefined
        ? undefined
        : `${env.PUBLIC_BASE_URL}/api/webhooks/twilio/message-status`,
    maximumAgeMilliseconds: env.FALLBACK_MAX_AGE_MINUTES * 60_000,
    holdMilliseconds: env.FALLBACK_HOLD_SECONDS * 1_000,
    duplicateWindowMilliseconds: env.FALLBACK_DUPLICATE_WINDOW_SECONDS * 1_000,
    originalText: env.ORIGINAL_TEXT,
    smsPerSecond: env.SMS_PER_SECOND,
    smsAtOnce: Math.max(1, env.WORKER_CONCURRENCY),
    ...periodicWork(env),
  }),
});

const statusPolling = StatusPollingModule.forRootAsync({
  imports: [EnvModule, messageEvents, follower, twilio],
  inject: [ENV],
  useFactory: (env: Env) => ({
    accountSid: env.TWILIO_ACCOUNT_SID,
    isEnabled: env.STATUS_POLL_AFTER_MINUTES > 0,
    afterMilliseconds: env.STATUS_POLL_AFTER_MINUTES * 60_000,
    ...periodicWork(env),
  }),
});

const fallbackOperations = FallbackOperationsModule.forRootAsync({
  imports: [EnvModule, domainEvents, messageEvents],
  inject: [ENV],
  useFactory: (env: Env) => ({
    maximumAgeMilliseconds: env.FALLBACK_MAX_AGE_MINUTES * 60_000,
    smsPerSecond: env.SMS_PER_SECOND,
  }),
});

const operations = OperationsModule.forRootAsync({
  imports: [EnvModule, messageEvents, MessagesModule, fallbackOperations, twilio],
  inject: [ENV],
  useFactory: (env: Env) => ({ adminApiKeys: env.ADMIN_API_KEYS }),
});

const retention = RetentionModule.forRootAsync({
  imports: [EnvModule],
  inject: [ENV],
  useFactory: (env: Env) => ({ retentionDays: env.RETENTION_DAYS, ...periodicWork(env) }),
});

const health = HealthModule.forRootAsync({
  imports: [database, domainEvents, messageEvents],
  inject: [DATABASE_CONNECTION, MessageEventsService],
  useFactory: (database: DatabaseConnection, messageEvents: MessageEventsService) => ({
    connection: healthConnectionOptions(database),
    rehearse: () => messageEvents.rehearse(),
  }),
});

@Module({
  imports: [
    EnvModule,
    database,
    typeOrm,
    domainEvents,
    twilio,
    messageEvents,
    follower,
    webhooks,
    fallback,
    statusPolling,
    operations,
    DashboardModule.forOperations(operations, twilio),
    retention,
    health,
  ],
  providers: [StartupSummary],
  // Lets a module that imports this one publish events, look things up, and call Twilio.
  exports: [domainEvents, messageEvents, twilio],
})
export class AppModule {}

function twilioAccounts(env: Env): TwilioAccount[] {
  const secondary = env.TWILIO_AUTH_TOKEN_SECONDARY;
  return [
    {
      accountSid: env.TWILIO_ACCOUNT_SID,
      authTokens: [env.TWILIO_AUTH_TOKEN, ...(secondary === undefined ? [] : [secondary])],
    },
    ...env.TWILIO_SUBACCOUNTS.map(({ accountSid, authToken }): TwilioAccount => ({
      accountSid,
      authTokens: [authToken],
    })),
  ];
}
