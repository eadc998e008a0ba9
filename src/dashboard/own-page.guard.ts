import { type CanActivate, type ExecutionContext, ForbiddenException, Injectable } from '@nestjs/common';
import type { Request } from 'express';
import { isFromOwnPage } from '../operations/same-origin.js';

/** Accepts forms of this service's own pages only. */
@Injectable()
export class OwnPageGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    if (isFromOwnPage(context.switchToHttp().getRequest<Request>())) return true;
    throw new ForbiddenException('This form is for the pages of this service only');
  }
}
