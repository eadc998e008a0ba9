import {
  HttpException,
  HttpStatus,
  Injectable,
  Logger,
  NotFoundException,
  UnauthorizedException,
} from '@nestjs/common';
import type { Request, Response } from 'express';
import { Refusals } from '../refusals/refusals.js';
import { AdminKeys } from './admin-keys.js';

/** How a key may be given. Browsers can ask a person for a password (Basic), but send it along unasked ever after. */
export type Scheme = 'Bearer' | 'Basic';

/** Lets in who has one of the keys. A valid key is never limited: behind a proxy all have one address. */
@Injectable()
export class AdminAccess {
  private readonly logger = new Logger(AdminAccess.name);

  constructor(
    private readonly keys: AdminKeys,
    private readonly refusals: Refusals,
  ) {}

  /**
   * @returns a name for the caller's key that can stand in a log.
   * @throws HttpException 404 where no key is configured, 401 without a valid one, 429 after too many of those.
   */
  async admit(request: Request, response: Response, schemes: readonly Scheme[]): Promise<string> {
    // As Nest answers where there is no route: nobody shall learn that there could be one.
    if (!this.keys.areConfigured) {
      throw new NotFoundException(`Cannot ${request.method} ${request.originalUrl}`);
    }
    const given = givenKey(request.get('Authorization') ?? '', schemes);
    const name = given === null ? null : this.keys.identify(given);
    return (
      name ?? this.refuse(given === null ? 'there is no key' : 'the key is wrong', request, response, schemes)
    );
  }

  private async refuse(
    reason: string,
    request: Request,
    response: Response,
    schemes: readonly Scheme[],
  ): Promise<never> {
    const retryAfterSeconds = await this.refusals.count(request.ip ?? '');
    if (retryAfterSeconds !== null) {
      response.setHeader('Retry-After', retryAfterSeconds);
      throw new HttpException('Too many requests without a valid key', HttpStatus.TOO_MANY_REQUESTS);
    }
    this.logger.warn('A request to the API was refused', { reason, path: request.path, ip: request.ip });
    response.setHeader(
      'WWW-Authenticate',
      schemes.map((scheme) => `${scheme} realm="operators"`),
    );
    throw new UnauthorizedException('Send one of ADMIN_API_KEYS: Authorization: Bearer …');
  }
}

/** @returns null where the header has none in one of these schemes. */
function givenKey(header: string, schemes: readonly Scheme[]): string | null {
  const [, scheme = '', value = ''] = /^(\S+) +(\S+) *$/.exec(header) ?? [];
  const known = schemes.find((name) => name.toLowerCase() === scheme.toLowerCase());
  switch (known) {
    case 'Bearer':
      return value;
    case 'Basic':
      // The user's name is of no matter.
      return Buffer.from(value, 'base64')
        .toString('utf8')
        .replace(/^[^:]*:/, '');
    case undefined:
      return null;
  }
}
