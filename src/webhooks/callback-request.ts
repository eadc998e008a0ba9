import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Request } from 'express';
import { parseForm } from './parse-form.js';

/** A parameter of a form is a string, or several if its name is repeated; in a JSON body, any JSON. */
export type CallbackParameters = Readonly<Record<string, unknown>>;

export type BodyForm = 'form' | 'json';

export interface CallbackContent {
  /** Every parameter as received; none for a JSON body that is not an object. */
  readonly parameters: CallbackParameters;
  /** The items of a JSON array; null for any other body. */
  readonly list: readonly unknown[] | null;
}

export function readContent(body: string, form: BodyForm): CallbackContent {
  return form === 'json' ? readJson(body) : { parameters: parseForm(body), list: null };
}

function readJson(body: string): CallbackContent {
  try {
    const value: unknown = JSON.parse(body);
    if (Array.isArray(value)) return { parameters: {}, list: value };
    return { parameters: isObject(value) ? value : {}, list: null };
  } catch {
    return { parameters: {}, list: null };
  }
}

export function isObject(value: unknown): value is CallbackParameters {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

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
