import { type MiddlewareConsumer, Module, type NestModule } from '@nestjs/common';
import { JobQueueInspection } from '../domain-events/job-queue-inspection.js';
import { Refusals } from '../refusals/refusals.js';
import { AdminAccess } from './admin-access.js';
import { AdminKeys } from './admin-keys.js';
import { AdminSessions } from './admin-sessions.js';
import { DatabaseMetrics } from './database-metrics.js';
import { ErrorCodesController } from './error-codes.controller.js';
import { EventSearch } from './event-search.js';
import { FallbackOperations } from './fallback-operations.js';
import { FallbacksController } from './fallbacks.controller.js';
import { Journeys } from './journeys.js';
import { MessageEventsController } from './message-events.controller.js';
import { MessagesController } from './messages.controller.js';
import { Metrics } from './metrics.js';
import { MetricsController } from './metrics.controller.js';
import {
  ConfigurableModuleClass,
  MODULE_OPTIONS_TOKEN,
  type OperationsModuleOptions,
} from './operations.module-definition.js';
import { QueueController } from './queue.controller.js';
import { RejectedCallbackList } from './rejected-callback-list.js';
import { RejectedCallbacksController } from './rejected-callbacks.controller.js';
import { RequestDurations } from './request-durations.js';
import { SecurityHeadersMiddleware } from './security-headers.middleware.js';
import { StatisticsController } from './statistics.controller.js';
import { StatisticsStore } from './statistics.store.js';

const controllers = [
  MessageEventsController,
  MessagesController,
  FallbacksController,
  StatisticsController,
  ErrorCodesController,
  QueueController,
  RejectedCallbacksController,
  MetricsController,
];

const refusals = {
  provide: Refusals,
  inject: [MODULE_OPTIONS_TOKEN],
  useFactory: ({ refusalsPerMinute }: OperationsModuleOptions) =>
    new Refusals({
      limitPerMinute: refusalsPerMinute,
      message: 'Further requests without a valid key from this address are not logged for a minute',
    }),
};

/**
 * What operators look at and steer the service with, over HTTP. No other module knows of it. Give it a
 * FallbackOperationsModule, a MessageEventsModule and a MessagesModule in `imports`.
 */
@Module({
  controllers,
  providers: [
    AdminAccess,
    AdminKeys,
    AdminSessions,
    DatabaseMetrics,
    EventSearch,
    FallbackOperations,
    JobQueueInspection,
    Journeys,
    Metrics,
    refusals,
    RejectedCallbackList,
    RequestDurations,
    StatisticsStore,
  ],
  // For other pages that are the operators' only.
  exports: [AdminAccess, AdminSessions],
})
export class OperationsModule extends ConfigurableModuleClass implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    // Not for the controllers themselves: Express would try a pattern for each of their routes with every callback. Whatever
    // another module has below these paths gets the headers too.
    consumer.apply(SecurityHeadersMiddleware).forRoutes('api/v1/*path', 'metrics');
  }
}
