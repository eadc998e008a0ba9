import { Injectable, type NestMiddleware } from '@nestjs/common';
import type { NextFunction, Request, Response } from 'express';
import { AdminAccess } from '../operations/admin-access.js';
import { securityHeaders } from '../operations/security-headers.middleware.js';

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
