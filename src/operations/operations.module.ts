import { type MiddlewareConsumer, Module, type NestModule } from '@nestjs/common';
import { AdminAccess } from './admin-access.js';
import { AdminKeys } from './admin-keys.js';
import { ConfigurableModuleClass } from './operations.module-definition.js';
import { RefusedKeys } from './refused-keys.js';
import { RejectedCallbackList } from './rejected-callback-list.js';
import { RejectedCallbacksController } from './rejected-callbacks.controller.js';
import { SecurityHeadersMiddleware } from './security-headers.middleware.js';

const controllers = [RejectedCallbacksController];

/** What operators look at and steer the service with, over HTTP. No other module knows of it. */
@Module({
  controllers,
  providers: [AdminAccess, AdminKeys, RefusedKeys, RejectedCallbackList],
})
export class OperationsModule extends ConfigurableModuleClass implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(SecurityHeadersMiddleware).forRoutes(...controllers);
  }
}
