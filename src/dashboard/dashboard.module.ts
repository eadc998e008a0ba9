import {
  type DynamicModule,
  Injectable,
  type MiddlewareConsumer,
  Module,
  type NestMiddleware,
  type NestModule,
  RequestMethod,
} from '@nestjs/common';
import { type NextFunction, type Request, type Response, urlencoded } from 'express';
import { AdminAccess } from '../operations/admin-access.js';
import { bodyProblem } from '../operations/search-body.interceptor.js';
import { securityHeaders } from '../operations/security-headers.middleware.js';
import { Changes, ChangesController, ChangeStreams } from './changes.js';
import { DashboardController } from './dashboard.controller.js';
import { AssetsMiddleware, PageAssets } from './page-assets.js';

/** Restricts the page to resources that this service itself serves. */
@Injectable()
export class PageHeadersMiddleware implements NestMiddleware<Request, Response> {
  private readonly setHeaders = securityHeaders(
    {
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      imgSrc: ["'self'"],
      connectSrc: ["'self'"],
      formAction: ["'self'"],
    },
    // With no-referrer, browsers also omit the Origin of a form.
    'same-origin',
  );

  constructor(private readonly access: AdminAccess) {}

  use(request: Request, response: Response, next: NextFunction): void {
    this.access.hideWithoutKeys(request);
    response.setHeader('Cache-Control', 'no-store');
    this.setHeaders(request, response, next);
  }
}

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
