import { BadRequestException } from '@nestjs/common';
import type { Request } from 'express';

/**
 * Whether a request has a body that nobody has read, of an announced length within the limit, and in no encoding. Node
 * delivers exactly that length or an error, so that nothing is left to check while it comes.
 * @param limit in bytes.
 */
export function hasAnnouncedBody(request: Request, limit: number): boolean {
  const { 'content-length': length, 'content-encoding': encoding } = request.headers;
  return (
    length !== undefined &&
    Number(length) <= limit &&
    encoding === undefined &&
    !request.readableDidRead &&
    request.body === undefined
  );
}

/** Reads a body for which hasAnnouncedBody() is true. `done` gets it, or an error where the connection broke. */
export function readAnnouncedBody(
  request: Request,
  done: (error: Error | null, body?: Buffer) => void,
): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
  });
  request.once('end', () => {
    const [first] = chunks;
    done(null, chunks.length === 1 ? first : Buffer.concat(chunks));
  });
  request.once('error', () => {
    done(new BadRequestException('The request was aborted'));
  });
}
