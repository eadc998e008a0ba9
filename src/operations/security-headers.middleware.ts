import { Injectable, type NestMiddleware } from '@nestjs/common';
import type { NextFunction, Request, Response } from 'express';
import helmet, { type HelmetOptions } from 'helmet';

type Directives = Exclude<HelmetOptions['contentSecurityPolicy'], boolean | undefined>['directives'];

/** Helmet's headers with a policy that allows only the given sources. */
export function securityHeaders(
  directives: Directives = {},
  referrerPolicy: 'no-referrer' | 'same-origin' = 'no-referrer',
): ReturnType<typeof helmet> {
  return helmet({
    referrerPolicy: { policy: referrerPolicy },
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
        ...directives,
      },
    },
    // Other hosts of the domain are not this service's to decide on.
    strictTransportSecurity: { includeSubDomains: false },
  });
}

/** For routes that return data, which must neither run as a page nor be cached. */
@Injectable()
export class SecurityHeadersMiddleware implements NestMiddleware<Request, Response> {
  private readonly setHeaders = securityHeaders();

  use(request: Request, response: Response, next: NextFunction): void {
    response.setHeader('Cache-Control', 'no-store');
    this.setHeaders(request, response, next);
  }
}
