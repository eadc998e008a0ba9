import {
  BadRequestException,
  HttpStatus,
  type HttpException,
  PayloadTooLargeException,
  UnsupportedMediaTypeException,
} from '@nestjs/common';

/**
 * What a parser of Express refuses, without a word of the body: its error has the whole body, and V8's message about JSON
 * quotes from it. A body may have a telephone number in it, or a key.
 */
export function bodyProblem(error: unknown): HttpException {
  switch ((error as { status?: unknown } | null)?.status) {
    case HttpStatus.PAYLOAD_TOO_LARGE:
      return new PayloadTooLargeException('The body is too long');
    case HttpStatus.UNSUPPORTED_MEDIA_TYPE:
      return new UnsupportedMediaTypeException('The body is in an encoding that is not supported');
    default:
      return new BadRequestException('The body cannot be read');
  }
}
