import {
  type DynamicModule,
  type MiddlewareConsumer,
  Module,
  type NestModule,
  RequestMethod,
} from '@nestjs/common';
import { type NextFunction, type Request, type Response, urlencoded } from 'express';
import { bodyProblem } from '../operations/body-problem.js';
import { AssetsMiddleware } from './assets.middleware.js';
import { ChangeStreams } from './change-streams.js';
import { Changes } from './changes.js';
import { ChangesController } from './changes.controller.js';
import { DashboardController } from './dashboard.controller.js';
import { PageAssets } from './page-assets.js';
import { PageHeadersMiddleware } from './page-headers.middleware.js';

const parseForm = urlencoded({ extended: false, limit: '4kb', parameterLimit: 10 });

/** Reads a form that has one key. */
function readForm(request: Request, response: Response, next: NextFunction): void {
  parseForm(request, response, (error?: unknown) => {
    next(error === undefined ? undefined : bodyProblem(error));
  });
}

/** The page at /dashboard. It shows what the operators' API answers. */
@Module({
  controllers: [DashboardController, ChangesController],
  providers: [Changes, ChangeStreams, PageAssets],
})
export class DashboardModule implements NestModule {
  /**
   * @param operations the OperationsModule whose keys open the page.
   * @param twilio the TwilioModule whose outages it shows.
   */
  static forOperations(operations: DynamicModule, twilio: DynamicModule): DynamicModule {
    return { module: DashboardModule, imports: [operations, twilio] };
  }

  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(PageHeadersMiddleware).forRoutes('dashboard', 'dashboard/*path');
    consumer.apply(AssetsMiddleware).forRoutes('dashboard/assets/*path');
    consumer.apply(readForm).forRoutes({ path: 'dashboard/login', method: RequestMethod.POST });
  }
}
