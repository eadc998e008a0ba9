import {
  BadRequestException,
  HttpStatus,
  type HttpException,
  PayloadTooLargeException,
  UnsupportedMediaTypeException,
} from '@nestjs/common';

/**
 * Converts an error of Express's body parsers without quoting the body, which may contain a phone number or a key:
 * their error has the whole body, and V8's message about JSON quotes from it.
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
