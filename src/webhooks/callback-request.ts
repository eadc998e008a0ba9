import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Request } from 'express';
import type { BodyForm, CallbackContent } from './callback-parameters.js';

export interface CallbackRequest extends Request {
  /** Exactly what was received. Set by TwilioSignatureGuard, or before by Nest's own `rawBody: true`. */
  rawBody?: Buffer;
  /** The time spent on the request before it is known to be valid. Set by TwilioSignatureGuard. */
  milliseconds?: number;
  /** Set by TwilioSignatureGuard. */
  signedCallback?: SignedCallback;
}

/** A request that Twilio signed. */
export interface SignedCallback extends CallbackContent {
  readonly form: BodyForm;
  /** The body as text. */
  readonly body: string;
  /** The URL that Twilio called, with its query string as sent. */
  readonly url: string;
}

/** Injects the callback that TwilioSignatureGuard accepted. */
export const Callback = createParamDecorator((_: unknown, context: ExecutionContext): SignedCallback => {
  const { signedCallback } = context.switchToHttp().getRequest<CallbackRequest>();
  if (signedCallback === undefined) throw new Error('@Callback() needs a route with TwilioSignatureGuard');
  return signedCallback;
});
