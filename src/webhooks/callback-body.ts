import { BadRequestException, HttpException, UnsupportedMediaTypeException } from '@nestjs/common';
import { raw, type Response } from 'express';
import type { BodyForm } from './callback-parameters.js';
import type { CallbackRequest } from './callback-request.js';

/** The longest body that is read, in bytes. Twilio's callbacks have about 600. */
const BODY_LIMIT = 64 * 1024;

const FORM = 'application/x-www-form-urlencoded';
const JSON_TYPE = 'application/json';

/** @throws UnsupportedMediaTypeException (415) for any other form. */
export function bodyForm(request: CallbackRequest): BodyForm {
  const header = request.headers['content-type'] ?? '';
  const end = header.indexOf(';');
  switch ((end === -1 ? header : header.slice(0, end)).trim().toLowerCase()) {
    case FORM:
      return 'form';
    case JSON_TYPE:
      return 'json';
    default:
      throw new UnsupportedMediaTypeException(`Send the callback as ${FORM} or ${JSON_TYPE}`);
  }
}

/**
 * Reads a body's bytes as they were sent: the signature covers each of them.
 * @returns undefined for a body that something parsed before: its bytes are gone.
 * @throws HttpException 400 where the connection broke, 413 for a body that is too long, 415 for an encoded one.
 */
export function readBody(request: CallbackRequest, response: Response): Promise<Buffer | undefined> {
  // Nothing would tell of it any more: somebody waited before this.
  if (request.destroyed && !request.readableEnded) return Promise.reject(aborted());
  // What Express has to do for every other body takes as long as the signature check.
  return hasAnnouncedBody(request) ? readAnnouncedBody(request) : readAnyBody(request, response);
}

/**
 * Whether a request has a body that nobody has read, of an announced length within the limit, and in no encoding. Node
 * delivers exactly that length or an error, so that nothing is left to check while it comes.
 */
function hasAnnouncedBody(request: CallbackRequest): boolean {
  const { 'content-length': length, 'content-encoding': encoding } = request.headers;
  return (
    length !== undefined &&
    Number(length) <= BODY_LIMIT &&
    encoding === undefined &&
    !request.readableDidRead &&
    request.body === undefined
  );
}

function readAnnouncedBody(request: CallbackRequest): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const [first, ...others] = chunks;
      resolve(first !== undefined && others.length === 0 ? first : Buffer.concat(chunks));
    });
    request.on('error', () => {
      reject(aborted());
    });
  });
}

function aborted(): HttpException {
  return new BadRequestException('The request was aborted');
}

const readRaw = raw({ type: () => true, limit: BODY_LIMIT, inflate: false });

function readAnyBody(request: CallbackRequest, response: Response): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    readRaw(request, response, (error?: Error) => {
      const body: unknown = request.body;
      if (error !== undefined) reject(asHttpException(error));
      else if (body === undefined) resolve(Buffer.alloc(0));
      else resolve(Buffer.isBuffer(body) ? body : undefined);
    });
  });
}

/** What Express's parser refuses is the client's fault. As another error Nest would log it with its stack. */
function asHttpException(error: Error & { status?: unknown }): Error {
  const { status, message } = error;
  const isClientsFault = typeof status === 'number' && status >= 400 && status < 500;
  return isClientsFault ? new HttpException(message, status, { cause: error }) : error;
}
