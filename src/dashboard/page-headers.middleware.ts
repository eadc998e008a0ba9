import { Injectable, type NestMiddleware } from '@nestjs/common';
import type { NextFunction, Request, Response } from 'express';
import { AdminAccess } from '../operations/admin-access.js';
import { securityHeaders } from '../operations/security-headers.middleware.js';

/** Lets the page run and show what this service itself serves, and nothing else. */
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
    // With no-referrer a browser would not tell a form's Origin, either.
    'same-origin',
  );

  constructor(private readonly access: AdminAccess) {}

  use(request: Request, response: Response, next: NextFunction): void {
    this.access.hideWithoutKeys(request);
    response.setHeader('Cache-Control', 'no-store');
    this.setHeaders(request, response, next);
  }
}
