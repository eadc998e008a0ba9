import { Injectable, type NestMiddleware } from '@nestjs/common';
import type { NextFunction, Request, Response } from 'express';
import helmet, { type HelmetOptions } from 'helmet';

type Directives = Exclude<HelmetOptions['contentSecurityPolicy'], boolean | undefined>['directives'];

/** Helmet's headers, with nothing allowed but what is named. */
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
    // The domain's other hosts are not ours to decide on.
    strictTransportSecurity: { includeSubDomains: false },
  });
}

/** For routes that answer with data: nothing in them may run, and no cache may keep them. */
@Injectable()
export class SecurityHeadersMiddleware implements NestMiddleware<Request, Response> {
  private readonly setHeaders = securityHeaders();

  use(request: Request, response: Response, next: NextFunction): void {
    response.setHeader('Cache-Control', 'no-store');
    this.setHeaders(request, response, next);
  }
}
