import {
  type ConfigurableModuleAsyncOptions,
  ConfigurableModuleBuilder,
  type DynamicModule,
  type InjectionToken,
  Module,
  type ModuleMetadata,
  type Provider,
  type Type,
} from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import {
  dataSourceOptions,
  healthConnectionOptions,
  jobQueuePoolOptions,
} from './database/data-source-options.js';
import { type DatabaseConnection, queueSchemaOf } from './database/database-connection.js';
import {
  DATABASE_CONNECTION,
  DatabaseModule,
  type DatabaseModuleOptions,
} from './database/database.module.js';
import { openForService } from './database/open-database.js';
import { DomainEventsModule } from './domain-events/domain-events.module.js';
import { FallbackPolicy } from './fallback/fallback-policy.js';
import type { FallbackModuleOptions } from './fallback/fallback.module-definition.js';
import { FallbackModule } from './fallback/fallback.module.js';
import { BEGIN, CHANGE, CLAIM, LOCK, RECORD_SENT } from './fallback/fallback.sql.js';
import { SmsSender } from './fallback/sms-sender.js';
import { FollowerModule } from './follower/follower.module.js';
import { HealthModule } from './health/health.module.js';
import { MessageEventsModule } from './message-events/message-events.module.js';
import { MessageEventsService } from './message-events/message-events.service.js';
import { FIND_EVENTS } from './message-events/message-history.js';
import { RECORD_AND_PUBLISH, RECORD_MESSAGE_EVENTS } from './message-events/message-events.store.js';
import type { MessageEventsModuleOptions } from './message-events/policy-failure.js';
import { MessageRecorder } from './messages/message-recorder.js';
import { MessagesModule } from './messages/messages.module.js';
import { OriginalMessages } from './messages/original-messages.js';
import type { OperationsModuleOptions } from './operations/admin-keys.js';
import { DATA_SOURCE } from './process/inject-database.js';
import type { RetentionModuleOptions } from './retention/old-rows.js';
import { RetentionModule } from './retention/retention.module.js';
import { StatusPollingModule } from './status-polling/status-polling.module.js';
import type { TwilioModuleOptions } from './twilio/twilio.module-definition.js';
import { TwilioModule } from './twilio/twilio.module.js';
import type { WebhooksModuleOptions } from './webhooks/twilio-signature.js';
import { WEBHOOK_PATH } from './webhooks/message-status.controller.js';
import { type WebhookPlace, WebhooksModule } from './webhooks/webhooks.module.js';

/** Each module's own options, which have the same names there, and those of the whole. */
export interface WhatsappSmsFallbackOptions
  extends
    DatabaseModuleOptions,
    Pick<TwilioModuleOptions, 'webhookSharedKeys' | 'apiBaseUrl' | 'timeoutMilliseconds'>,
    Pick<WebhooksModuleOptions, 'publicBaseUrl'>,
    MessageEventsModuleOptions,
    Omit<FallbackModuleOptions, 'intervalMilliseconds' | 'smsAtOnce' | 'webhookUrl'>,
    Pick<OperationsModuleOptions, 'adminApiKeys'>,
    Pick<RetentionModuleOptions, 'retentionDays'> {
  /** The accounts whose callbacks are accepted, and that send. The first one is asked for statuses. */
  readonly accounts: TwilioModuleOptions['accounts'];
  /**
   * How many requests for an SMS this process makes to Twilio at once. Default 10. 0: it only receives callbacks, and
   * another process sends.
   */
  readonly concurrency?: number;
  /** After how long Twilio is asked about a message without a final status, in milliseconds. Default 600000; 0: never. */
  readonly statusPollAfterMilliseconds?: number;
}

/** An implementation of a port: a class, or a provider without its token. */
export type Implementation<Port> =
  | Type<Port>
  | { readonly useClass: Type<Port> }
  | { readonly useValue: Port }
  | { readonly useExisting: InjectionToken<Port> }
  | {
      readonly useFactory: (...dependencies: never[]) => Port | Promise<Port>;
      readonly inject?: readonly InjectionToken[];
    };

/** What the module consists of. It is fixed before anything is created. */
export interface WhatsappSmsFallbackParts {
  /** Modules whose providers the implementations of ports inject. */
  readonly imports?: NonNullable<ModuleMetadata['imports']>;
  /** Sends SMS in another way than Twilio's Messages API. */
  readonly smsSender?: Implementation<SmsSender>;
  /** Finds original messages elsewhere than in the tables messages, conversations, and companies. */
  readonly originalMessages?: Implementation<OriginalMessages>;
  /** Decides whether and when a policy failure leads to an SMS. Default: always, and at once. */
  readonly fallbackPolicy?: Implementation<FallbackPolicy>;
  /** Records statuses and SMS elsewhere than in the table messages; false: nowhere. */
  readonly messageRecorder?: Implementation<MessageRecorder> | false;
  /** Where the webhook is, and how it is decorated. */
  readonly webhook?: WebhookPlace;
  /** The operators' API and the metrics. Default true; without `adminApiKeys`, each route answers 404. */
  readonly operations?: boolean;
  /** The page at /dashboard. Default true; it needs `operations`. */
  readonly dashboard?: boolean;
  /** /health/live and /health/ready. Default true. */
  readonly health?: boolean;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<WhatsappSmsFallbackOptions>().setClassMethodName('forRoot').build();

/** Holds the options of the whole for the modules that it consists of. */
@Module({ exports: [MODULE_OPTIONS_TOKEN] })
class OptionsModule extends ConfigurableModuleClass {}

type AsyncOptions = ConfigurableModuleAsyncOptions<WhatsappSmsFallbackOptions>;

/**
 * Receives Twilio's status callbacks, and turns each WhatsApp message with a policy failure into one SMS. Import it
 * once. It opens its own database connections, and exports MessageEventsService, DomainEventPublisher, and
 * TwilioAccounts to all modules.
 */
@Module({})
export class WhatsappSmsFallbackModule {
  static forRoot(options: WhatsappSmsFallbackOptions & WhatsappSmsFallbackParts): DynamicModule {
    return moduleOf(OptionsModule.forRoot(options), options);
  }

  static forRootAsync(options: AsyncOptions & WhatsappSmsFallbackParts): DynamicModule {
    return moduleOf(OptionsModule.forRootAsync(options), options);
  }
}

/**
 * Jobs that are taken for each request to Twilio that may be made at once: while one waits for its answer, the other one's
 * steps are committed.
 */
const JOBS_FOR_A_REQUEST = 2;

const DEFAULT_CONCURRENCY = 10;

/** The statements of callbacks and of an SMS: planning them took up to twice as long as running them. */
const PREPARED_STATEMENTS = new Map([
  [RECORD_MESSAGE_EVENTS, 'record_message_events'],
  [RECORD_AND_PUBLISH, 'record_and_publish'],
  [CLAIM, 'claim'],
  [LOCK, 'lock'],
  [FIND_EVENTS, 'find_events'],
  [BEGIN, 'begin_sending'],
  [RECORD_SENT, 'record_sent'],
  [CHANGE, 'change'],
]);

/** Periodic work runs only in processes that take jobs; the others just publish. */
function periodicWork({ concurrency }: WhatsappSmsFallbackOptions): { intervalMilliseconds?: 0 } {
  return concurrency === 0 ? { intervalMilliseconds: 0 } : {};
}

function moduleOf(optionsModule: DynamicModule, parts: WhatsappSmsFallbackParts): DynamicModule {
  /** Configures a module with what it needs of the options. */
  const from = <Options>(
    useFactory: (options: WhatsappSmsFallbackOptions) => Options,
    ...imports: (DynamicModule | Type)[]
  ) => ({ imports: [optionsModule, ...imports], inject: [MODULE_OPTIONS_TOKEN], useFactory });

  const database = DatabaseModule.forRootAsync(
    from(({ databaseUrl, schema, connection, embeddedDataDir, applicationTables, migrate }) => ({
      databaseUrl,
      schema,
      connection,
      embeddedDataDir,
      applicationTables,
      migrate,
    })),
  );
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
    imports: [database, optionsModule],
    inject: [DATABASE_CONNECTION, MODULE_OPTIONS_TOKEN],
    useFactory: (connection: DatabaseConnection, options: WhatsappSmsFallbackOptions) => {
      const { concurrency = DEFAULT_CONCURRENCY } = options;
      return {
        connection: jobQueuePoolOptions(connection, concurrency),
        schema: queueSchemaOf(connection.schema),
        concurrency: concurrency * JOBS_FOR_A_REQUEST,
        noPreparedStatements: connection.embedded,
        // PGlite's socket does not forward notifications.
        pollIntervalMilliseconds: connection.embedded ? 200 : undefined,
      };
    },
  });
  const twilio = TwilioModule.forRootAsync(
    from((options) => {
      const { accounts, webhookSharedKeys, apiBaseUrl, timeoutMilliseconds } = options;
      return { accounts, webhookSharedKeys, apiBaseUrl, timeoutMilliseconds, ...periodicWork(options) };
    }),
  );
  const messageEvents = MessageEventsModule.forRootAsync(
    from(
      ({ policyFailureErrorCodes, statusRecorded }) => ({ policyFailureErrorCodes, statusRecorded }),
      domainEvents,
    ),
  );
  const messages = messagesOf(parts);
  const follower = FollowerModule.forRootAsync(from(periodicWork, messages));
  const webhooks = WebhooksModule.forRootAsync({
    ...from(({ publicBaseUrl }) => ({ publicBaseUrl }), messageEvents, twilio),
    ...parts.webhook,
  });
  const fallback = FallbackModule.forRootAsync(
    from(
      (options) => fallbackOptions(options, parts),
      domainEvents,
      messageEvents,
      follower,
      messages,
      twilio,
    ),
  );
  const statusPolling = StatusPollingModule.forRootAsync(
    from(
      (options) => ({
        accountSid: options.accounts[0]?.accountSid ?? '',
        isEnabled: options.statusPollAfterMilliseconds !== 0,
        afterMilliseconds: options.statusPollAfterMilliseconds,
        ...periodicWork(options),
      }),
      messageEvents,
      follower,
      twilio,
    ),
  );
  const retention = RetentionModule.forRootAsync(
    from((options) => ({ retentionDays: options.retentionDays, ...periodicWork(options) })),
  );
  const modules = [
    database,
    typeOrm,
    domainEvents,
    twilio,
    messageEvents,
    follower,
    webhooks,
    statusPolling,
    retention,
  ];
  modules.push(
    withProviders(fallback, parts.imports, [
      ...implementation(SmsSender, parts.smsSender),
      ...implementation(FallbackPolicy, parts.fallbackPolicy),
    ]),
  );
  const imports: NonNullable<ModuleMetadata['imports']> = [...modules];
  if (parts.operations !== false) {
    // Loads OpenAPI and Prometheus' client, which an application may leave out.
    imports.push(
      import('./operators.module.js').then(({ OperatorsModule }) =>
        OperatorsModule.of({
          fallbacks: from(
            ({ maximumAgeMilliseconds, smsPerSecond }) => ({ maximumAgeMilliseconds, smsPerSecond }),
            domainEvents,
            messageEvents,
          ),
          operations: from(({ adminApiKeys }) => ({ adminApiKeys }), messageEvents, messages, twilio),
          twilio,
          hasPage: parts.dashboard !== false,
        }),
      ),
    );
  }
  if (parts.health !== false) {
    imports.push(
      HealthModule.forRootAsync({
        imports: [database, domainEvents, messageEvents],
        inject: [DATABASE_CONNECTION, MessageEventsService],
        useFactory: (connection: DatabaseConnection, events: MessageEventsService) => ({
          connection: healthConnectionOptions(connection),
          rehearse: () => events.rehearse(),
        }),
      }),
    );
  }
  return {
    module: WhatsappSmsFallbackModule,
    global: true,
    imports,
    exports: [domainEvents, messageEvents, twilio, webhooks],
  };
}

function fallbackOptions(
  options: WhatsappSmsFallbackOptions,
  { webhook }: WhatsappSmsFallbackParts,
): FallbackModuleOptions {
  const { concurrency = DEFAULT_CONCURRENCY, publicBaseUrl } = options;
  return {
    ...options,
    webhookUrl: publicBaseUrl === undefined ? undefined : `${publicBaseUrl}/${webhook?.path ?? WEBHOOK_PATH}`,
    smsAtOnce: Math.max(1, concurrency),
    ...periodicWork(options),
  };
}

function messagesOf({ imports, originalMessages, messageRecorder }: WhatsappSmsFallbackParts): DynamicModule {
  const nowhere = [{ provide: MessageRecorder, useValue: undefined }];
  return withProviders({ module: MessagesModule }, imports, [
    ...implementation(OriginalMessages, originalMessages),
    ...(messageRecorder === false ? nowhere : implementation(MessageRecorder, messageRecorder)),
  ]);
}

/** Adds providers, which replace those of the module itself. */
function withProviders(
  module: DynamicModule,
  imports: WhatsappSmsFallbackParts['imports'] = [],
  providers: readonly Provider[],
): DynamicModule {
  return {
    ...module,
    imports: [...(module.imports ?? []), ...imports],
    providers: [...(module.providers ?? []), ...providers],
  };
}

function implementation<Port>(port: InjectionToken<Port>, by: Implementation<Port> | undefined): Provider[] {
  if (by === undefined) return [];
  return [{ provide: port, ...(typeof by === 'function' ? { useClass: by } : by) } as Provider];
}
