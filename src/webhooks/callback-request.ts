import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Request } from 'express';
import type { CallbackContent } from './callback-parameters.js';

export interface CallbackRequest extends Request {
  /** Exactly what was received. Set by TwilioSignatureGuard, or before by Nest's own `rawBody: true`. */
  rawBody?: Buffer;
  /** Set by TwilioSignatureGuard. */
  signedCallback?: SignedCallback;
}

/** A request that Twilio signed. */
export interface SignedCallback extends CallbackContent {
  /** The body as text. */
  readonly body: string;
  /** The URL that Twilio called, with its query string as sent. */
  readonly url: string;
}

/** The callback that TwilioSignatureGuard let in. */
export const Callback = createParamDecorator((_: unknown, context: ExecutionContext): SignedCallback => {
  const { signedCallback } = context.switchToHttp().getRequest<CallbackRequest>();
  if (signedCallback === undefined) throw new Error('@Callback() needs a route with TwilioSignatureGuard');
  return signedCallback;
});
