import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { Request, Response } from 'express';
import { AdminAccess } from './admin-access.js';

export interface AdminRequest extends Request {
  /** A name for the caller's key that is safe to log. Set by AdminKeyGuard. */
  adminKeyName?: string;
}

/** Admits `Authorization: Bearer <one of the keys>`, and the session of a page of this service. */
@Injectable()
export class AdminKeyGuard implements CanActivate {
  constructor(private readonly access: AdminAccess) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const http = context.switchToHttp();
    const request = http.getRequest<AdminRequest>();
    const response = http.getResponse<Response>();
    request.adminKeyName = await this.access.admit(request, response, ['Bearer', 'Session']);
    return true;
  }
}
