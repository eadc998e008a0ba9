import { Injectable, type NestMiddleware, UnsupportedMediaTypeException } from '@nestjs/common';
import { raw, type NextFunction, type Response } from 'express';
import { parse } from 'node:querystring';
import { hasAnnouncedBody, readAnnouncedBody } from './announced-body.js';
import type { CallbackParameters, CallbackRequest } from './callback-request.js';

/** The longest body that is read, in bytes. Twilio's callbacks have about 600. */
const BODY_LIMIT = 64 * 1024;

const FORM = 'application/x-www-form-urlencoded';
const JSON_TYPE = 'application/json';

/**
 * Reads a callback's bytes and its parameters as they were sent: the signature covers each of them, so nothing is
 * trimmed, coerced or left out. Express's own parser would fail on bracketed and on often repeated names.
 */
@Injectable()
export class CallbackBodyMiddleware implements NestMiddleware<CallbackRequest, Response> {
  private readonly readBytes = raw({ type: () => true, limit: BODY_LIMIT, inflate: false });

  use(request: CallbackRequest, response: Response, next: NextFunction): void {
    const type = contentType(request);
    if (type !== FORM && type !== JSON_TYPE) {
      throw new UnsupportedMediaTypeException(`Send the callback as ${FORM} or ${JSON_TYPE}`);
    }
    if (request.rawBody !== undefined) {
      next();
      return;
    }
    // What Express has to do for every other body takes as long as the signature check.
    if (hasAnnouncedBody(request, BODY_LIMIT)) {
      readAnnouncedBody(request, (error, body) => {
        request.rawBody = body;
        next(error ?? undefined);
      });
      return;
    }
    this.readBytes(request, response, (error?: unknown) => {
      request.rawBody = readBody(request.body);
      next(error);
    });
  }
}

/** @returns undefined for a body that something parsed before: its bytes are gone. */
function readBody(body: unknown): Buffer | undefined {
  if (body === undefined) return Buffer.alloc(0);
  return Buffer.isBuffer(body) ? body : undefined;
}

export function isJson(request: CallbackRequest): boolean {
  return contentType(request) === JSON_TYPE;
}

/** A JSON body that is no object has none, and so it names no account whose token could have signed it. */
export function readParameters(request: CallbackRequest, body: string): CallbackParameters {
  return isJson(request) ? readJson(body) : readForm(body);
}

function readForm(body: string): CallbackParameters {
  // Without maxKeys Node keeps the first 1000 parameters and drops the others.
  const parameters = parse(body, '&', '=', { maxKeys: 0 });
  for (const name of Object.keys(parameters)) {
    const value = parameters[name];
    // Twilio's library asks for `instanceof Array`, which an array of Node's own fails in a VM context such as Jest's.
    if (Array.isArray(value)) parameters[name] = [...value];
  }
  return parameters;
}

function readJson(body: string): CallbackParameters {
  try {
    const value: unknown = JSON.parse(body);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

function isObject(value: unknown): value is CallbackParameters {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function contentType(request: CallbackRequest): string {
  const header = request.headers['content-type'] ?? '';
  const end = header.indexOf(';');
  return (end === -1 ? header : header.slice(0, end)).trim().toLowerCase();
}
