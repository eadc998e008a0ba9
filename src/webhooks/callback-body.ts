import {
  BadRequestException,
  type HttpException,
  PayloadTooLargeException,
  UnsupportedMediaTypeException,
} from '@nestjs/common';
import type { BodyForm, CallbackRequest } from './callback-request.js';

/** The maximum length of a body, in bytes. Twilio's callbacks have about 600. */
const BODY_LIMIT = 64 * 1024;

/** Up to this length in bytes, a body is cheap to check and parse; no status callback of Twilio is longer. */
export const SMALL_BODY = 8 * 1024;

/**
 * The maximum number of pieces of a body: more than a connection with the smallest TCP/IP segments (536 bytes) needs
 * for the longest body.
 */
const MOST_PIECES = 512;

/**
 * The estimated time that Node spends on a body of many pieces before it can be stopped, in milliseconds; measured: 15
 * to 100.
 */
const PIECES_COST = 80;

const FORM = 'application/x-www-form-urlencoded';
const JSON_TYPE = 'application/json';

/** @throws UnsupportedMediaTypeException (415) for any other form, and for an encoded body. */
export function bodyForm({ headers }: CallbackRequest): BodyForm {
  if (!/^(identity)?$/i.test(headers['content-encoding'] ?? '')) {
    throw new UnsupportedMediaTypeException('Send the callback without a Content-Encoding');
  }
  const header = headers['content-type'] ?? '';
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

/** @throws PayloadTooLargeException (413) for an announced length over the limit. */
export function assertReadableLength(request: CallbackRequest): void {
  if (announcedLength(request) > BODY_LIMIT) throw tooLarge();
}

/** Whether a body is small by its announced or its actual length. */
export function isSmallBody(request: CallbackRequest): boolean {
  if (request.rawBody !== undefined) return request.rawBody.length <= SMALL_BODY;
  return request.headers['transfer-encoding'] === undefined && announcedLength(request) <= SMALL_BODY;
}

function announcedLength({ headers }: CallbackRequest): number {
  return Number(headers['content-length'] ?? 0);
}

function tooLarge(): HttpException {
  return new PayloadTooLargeException(`A callback has ${BODY_LIMIT} bytes at most`);
}

/**
 * Reads a body's bytes as they were sent: the signature covers each of them.
 * @returns undefined for a body that something parsed before: its bytes are gone.
 * @throws HttpException 400 for a connection that broke and for a body in too many pieces, 413 for one that is too long.
 */
export function readBody(request: CallbackRequest): Promise<Buffer | undefined> {
  // An earlier await may have missed the events, so they would never fire.
  if (request.destroyed && !request.readableEnded) return Promise.reject(aborted());
  if (request.body !== undefined || request.readableDidRead) return Promise.resolve(undefined);
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let length = 0;
    const stop = (exception: HttpException) => {
      request.off('data', keep);
      reject(exception);
    };
    const keep = (piece: Buffer) => {
      length += piece.length;
      if (length > BODY_LIMIT) stop(tooLarge());
      else if (pieces.push(piece) > MOST_PIECES) {
        request.milliseconds = PIECES_COST;
        stop(new BadRequestException('The body comes in too many pieces'));
      }
    };
    request.on('data', keep);
    request.on('end', () => {
      const [first, ...others] = pieces;
      resolve(first !== undefined && others.length === 0 ? first : Buffer.concat(pieces));
    });
    request.on('error', () => {
      reject(aborted());
    });
  });
}

function aborted(): HttpException {
  return new BadRequestException('The request was aborted');
}
