import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { Request } from 'express';
import twilio from 'twilio';
import { authToken, publicBaseUrl } from './settings.js';

/** The signature check as a Nest guard, on the body that Nest's own parser has read. */
@Injectable()
export class SignatureGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context
      .switchToHttp()
      .getRequest<Request<unknown, unknown, Record<string, string> | undefined>>();
    const signature = request.header('X-Twilio-Signature') ?? '';
    return twilio.validateRequest(
      authToken,
      signature,
      publicBaseUrl + request.originalUrl,
      request.body ?? {},
    );
  }
}
