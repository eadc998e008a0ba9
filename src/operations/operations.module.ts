import { Module } from '@nestjs/common';
import { JobQueueInspection } from '../domain-events/job-queue-inspection.js';
import { Refusals } from '../process/refusals.js';
import { AdminAccess } from './admin-access.js';
import {
  AdminKeys,
  ConfigurableModuleClass,
  MODULE_OPTIONS_TOKEN,
  type OperationsModuleOptions,
} from './admin-keys.js';
import { AdminSessions } from './admin-sessions.js';
import { DatabaseMetrics } from './database-metrics.js';
import { ErrorCodesController } from './error-codes.controller.js';
import { EventSearch } from './event-search.js';
import { FallbackOperations, FallbacksController } from './fallbacks.controller.js';
import { Journeys, MessageEventsController, MessagesController } from './messages.controller.js';
import { Metrics, MetricsController, RequestDurations } from './metrics.controller.js';
import { QueueController } from './queue.controller.js';
import { RejectedCallbackList, RejectedCallbacksController } from './rejected-callbacks.controller.js';
import { StatisticsController, StatisticsStore } from './statistics.store.js';

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
 * The HTTP API with which operators watch and control the service. No other module depends on it. Its `imports` need a
 * FallbackOperationsModule, a MessageEventsModule and a MessagesModule.
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
  // For other pages that only operators may see.
  exports: [AdminAccess, AdminSessions],
})
export class OperationsModule extends ConfigurableModuleClass {}
