import {
  type CanActivate,
  type ExecutionContext,
  ForbiddenException,
  HttpException,
  HttpStatus,
  Injectable,
  Logger,
  NotFoundException,
  UnauthorizedException,
} from '@nestjs/common';
import type { Request, Response } from 'express';
import { Refusals } from '../process/refusals.js';
import { AdminKeys } from './admin-keys.js';
import { AdminSessions } from './admin-sessions.js';
import { headersSetter } from './security-headers.js';

/**
 * Whether a page of this service made the request, according to the browser. Browsers send Sec-Fetch-Site only over
 * https or to localhost; otherwise Origin, which is part of every POST, decides.
 */
export function isFromOwnPage(request: Request): boolean {
  const site = request.get('Sec-Fetch-Site');
  if (site !== undefined) return site === 'same-origin';
  return hostOf(request.get('Origin') ?? '') === request.get('Host');
}

/**
 * Whether a session may authorize the request. Writes must come from a page of this service; reads are refused if the
 * browser says that they come from another site. SameSite, which withholds the cookie from other sites, is a second
 * barrier.
 */
export function maySessionSpeakFor(request: Request): boolean {
  const isReading = request.method === 'GET' || request.method === 'HEAD';
  // `none`: the user typed the address or opened a bookmark.
  if (isReading && (request.get('Sec-Fetch-Site') ?? 'none') === 'none') return true;
  return isFromOwnPage(request);
}

/** @returns null for `null`, which a browser sends instead of an origin that it hides. */
function hostOf(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null;
}

/**
 * How a caller may send a key. Browsers can prompt for a password (Basic), but then send it with every request. A
 * session's cookie goes with the requests of this service's own pages.
 */
export type Scheme = 'Bearer' | 'Basic' | 'Session';

/**
 * Admits callers with one of the keys. Valid keys are never limited: behind a proxy all callers share one address, and
 * one guesser would lock everybody out. So the limit for wrong keys only spares the log. What defeats guessing is the
 * length of the keys.
 */
@Injectable()
export class AdminAccess {
  private readonly logger = new Logger(AdminAccess.name);

  /** Whether the application serves the API's description, so that the page links to it. */
  describesApi = false;

  constructor(
    private readonly keys: AdminKeys,
    private readonly sessions: AdminSessions,
    private readonly refusals: Refusals,
  ) {}

  /**
   * @returns a name for the caller's key that is safe to log.
   * @throws HttpException 404 if no key is configured, 401 without a valid one, 429 after too many of those, 403 for a
   * session that another site uses.
   */
  async admit(request: Request, response: Response, schemes: readonly Scheme[]): Promise<string> {
    this.hideWithoutKeys(request);
    const given = givenKey(request.get('Authorization') ?? '', schemes);
    if (given !== null) return this.admitKey(given, request, response, schemes);
    const session = schemes.includes('Session') ? await this.sessions.find(request) : null;
    if (session === null) return this.refuse('there is no key', request, response, schemes);
    // A page that stays open keeps asking after its session ends. That is not a guess, so it is not counted.
    if (session === 'ended') throw unauthorized(response, schemes, 'The session has ended: sign in again');
    if (!maySessionSpeakFor(request)) {
      throw new ForbiddenException('A session is for the pages of this service only');
    }
    return session.keyName;
  }

  /** Admits a key that came another way, e.g. in a form. */
  async admitKey(
    key: string,
    request: Request,
    response: Response,
    schemes: readonly Scheme[] = ['Bearer'],
  ): Promise<string> {
    this.hideWithoutKeys(request);
    return this.keys.identify(key) ?? this.refuse('the key is wrong', request, response, schemes);
  }

  /**
   * Answers like Nest for an unknown route, to hide that the route exists.
   * @throws NotFoundException if no key is configured.
   */
  hideWithoutKeys(request: Request): void {
    if (this.keys.areConfigured) return;
    throw new NotFoundException(`Cannot ${request.method} ${request.originalUrl}`);
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
    throw unauthorized(response, schemes, 'Send one of ADMIN_API_KEYS: Authorization: Bearer …');
  }
}

function unauthorized(response: Response, schemes: readonly Scheme[], message: string): HttpException {
  const asked = schemes.filter((scheme) => scheme !== 'Session');
  response.setHeader(
    'WWW-Authenticate',
    asked.map((scheme) => `${scheme} realm="operators"`),
  );
  return new UnauthorizedException(message);
}

/** @returns null if the header has no key in one of these schemes. */
function givenKey(header: string, schemes: readonly Scheme[]): string | null {
  const [, scheme = '', value = ''] = /^(\S+) +(\S+) *$/.exec(header) ?? [];
  const known = schemes.find((name) => name.toLowerCase() === scheme.toLowerCase());
  switch (known) {
    case 'Bearer':
      return value;
    case 'Basic':
      // The user name is ignored.
      return Buffer.from(value, 'base64')
        .toString('utf8')
        .replace(/^[^:]*:/, '');
    // A session uses no Authorization header.
    case 'Session':
    case undefined:
      return null;
  }
}

export interface AdminRequest extends Request {
  /** A name for the caller's key that is safe to log. Set by AdminKeyGuard. */
  adminKeyName?: string;
}

/** The answers are data, which must neither run as a page nor be cached. */
const setHeaders = headersSetter();

/** Admits `Authorization: Bearer <one of the keys>`, and the session of a page of this service. */
@Injectable()
export class AdminKeyGuard implements CanActivate {
  constructor(private readonly access: AdminAccess) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const http = context.switchToHttp();
    const request = http.getRequest<AdminRequest>();
    const response = http.getResponse<Response>();
    this.access.hideWithoutKeys(request);
    setHeaders(request, response);
    request.adminKeyName = await this.access.admit(request, response, ['Bearer', 'Session']);
    return true;
  }
}
