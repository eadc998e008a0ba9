import {
  applyDecorators,
  type ArgumentsHost,
  type CallHandler,
  Catch,
  Controller,
  type ExecutionContext,
  Injectable,
  Logger,
  type NestInterceptor,
  Res,
  SetMetadata,
  type Type,
  UseFilters,
  UseInterceptors,
  VERSION_NEUTRAL,
} from '@nestjs/common';
import { BaseExceptionFilter, HttpAdapterHost } from '@nestjs/core';
import type { Response } from 'express';
import { map, type Observable } from 'rxjs';

/** How the metrics name the requests of a controller. */
export type RouteName = 'webhook' | 'api' | 'health' | 'metrics' | 'dashboard' | 'stream';

/** The metadata of a controller with its RouteName. */
export const ROUTE_NAME = 'whatsapp-sms-fallback:route';

/** Answers errors before the application's global exception filters see them. */
@Catch()
export class OwnErrorFilter extends BaseExceptionFilter {
  private readonly ownLogger = new Logger(OwnErrorFilter.name);

  override catch(exception: unknown, host: ArgumentsHost): void {
    // E.g. a global interceptor that sets a header once the handler has returned.
    if (host.switchToHttp().getResponse<Response>().writableEnded) {
      this.ownLogger.debug('Failed after the answer was sent', { error: String(exception) });
    } else {
      super.catch(this.explain?.(exception, host) ?? exception, host);
    }
  }

  /** Returns the error to answer in place of another one. */
  protected explain?(exception: unknown, host: ArgumentsHost): unknown;
}

/**
 * Sends what a handler returns before the application's global interceptors can wrap it. They get undefined, so that none
 * keeps the answer for somebody else either.
 */
@Injectable()
export class OwnAnswerInterceptor implements NestInterceptor {
  constructor(private readonly host: HttpAdapterHost) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<undefined> {
    const response = context.switchToHttp().getResponse<Response>();
    return next.handle().pipe(
      map((answer: unknown) => {
        if (!response.headersSent) this.host.httpAdapter.reply(response, answer);
        return undefined;
      }),
    );
  }
}

/** A controller at a path that no versioning of the application moves, known to the metrics. */
export function PlainController(path: string, name: RouteName): ClassDecorator {
  return applyDecorators(Controller({ path, version: VERSION_NEUTRAL }), SetMetadata(ROUTE_NAME, name));
}

/**
 * A PlainController whose answers are the same in any application. The last decorator of a class, which is the first one
 * that runs: its filter is then asked after the controller's others.
 */
export function ServiceController(path: string, name: RouteName): ClassDecorator {
  return applyDecorators(
    PlainController(path, name),
    NestSendsNothing,
    UseInterceptors(OwnAnswerInterceptor),
    UseFilters(OwnErrorFilter),
  );
}

/** Nest leaves the answer to a handler that has a parameter for the response, so each gets one. */
function NestSendsNothing(controller: { readonly prototype: object }): void {
  for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(controller.prototype))) {
    const value: unknown = descriptor.value;
    if (name !== 'constructor' && typeof value === 'function')
      Res()(controller.prototype, name, value.length);
  }
}

/** A controller with the decorators of the application that it is a guest in. */
export function decorated<Guest extends Type>(
  controller: Guest,
  decorators: readonly ClassDecorator[],
): Guest {
  class Decorated extends controller {}
  Object.defineProperty(Decorated, 'name', { value: controller.name });
  for (const decorate of decorators) decorate(Decorated);
  return Decorated;
}
