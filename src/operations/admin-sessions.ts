import { Injectable } from '@nestjs/common';
import type { CookieOptions, Request, Response } from 'express';
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { DataSource } from 'typeorm';
import { InjectDatabase } from '../process/inject-database.js';
import { AdminKeys } from './admin-keys.js';

const COOKIE = 'whatsapp_sms_fallback_session';

/** The parts of a cookie's value: the key's name, the end of the session in seconds, its id, and a signature. */
const VALUE = new RegExp(
  `(?:^|; *)${COOKIE}=(([\\w-]{1,32})\\.(\\d{1,11})\\.([\\w-]{16}))\\.([\\w-]{43})(?:;|$)`,
);

/** A working day, in milliseconds. */
const SESSION_LASTS = 12 * 3_600_000;

/** The session of a browser whose user gave a key in a form, remembered by a cookie. */
export interface AdminSession {
  /** A name for the key that is safe to log. */
  readonly keyName: string;
  readonly endsAt: Date;
  readonly id: string;
}

/**
 * Sessions are signed cookies that any replica accepts. They end after twelve hours, when their key is removed, or by
 * signing out. `ended_sessions` keeps signed-out sessions until they would expire.
 */
@Injectable()
export class AdminSessions {
  constructor(
    private readonly keys: AdminKeys,
    @InjectDatabase() private readonly dataSource: DataSource,
  ) {}

  /**
   * @param keyName the name of the key that was given.
   * @param path the cookie's.
   */
  begin(keyName: string, path: string, request: Request, response: Response): void {
    const endsAt = new Date(Date.now() + SESSION_LASTS);
    response.cookie(
      COOKIE,
      this.cookieValue({ keyName, endsAt, id: randomBytes(12).toString('base64url') }),
      {
        ...attributes(path, request),
        expires: endsAt,
      },
    );
  }

  /**
   * Ends the session, so that copies of the cookie become useless, and then clears the cookie.
   * @throws QueryFailedError if that cannot be stored. The browser keeps the cookie and can try again.
   */
  async end(path: string, request: Request, response: Response): Promise<void> {
    const session = this.read(request);
    if (session !== null && session !== 'ended') await this.keepEnd(session);
    response.clearCookie(COOKIE, attributes(path, request));
  }

  private async keepEnd(session: AdminSession): Promise<void> {
    await this.dataSource.query(
      `with over as (delete from ended_sessions where ends_at < now())
       insert into ended_sessions (id, ends_at) values ($1, $2) on conflict do nothing`,
      [session.id, session.endsAt],
    );
  }

  /**
   * @returns null without a session, and for one that this service has not signed with one of its keys.
   * @throws QueryFailedError if the database cannot say whether the session was signed out.
   */
  async find(request: Request): Promise<AdminSession | 'ended' | null> {
    const session = this.read(request);
    if (session === null || session === 'ended') return session;
    const rows = await this.dataSource.query<unknown[]>('select from ended_sessions where id = $1', [
      session.id,
    ]);
    return rows.length > 0 ? 'ended' : session;
  }

  /** Lists the ids of sessions that were signed out. */
  async endedIds(): Promise<ReadonlySet<string>> {
    const rows = await this.dataSource.query<{ id: string }[]>('select id from ended_sessions');
    return new Set(rows.map(({ id }) => id));
  }

  /** Like find(), but does not check for signed-out sessions. */
  read(request: Request): AdminSession | 'ended' | null {
    const [, text = '', keyName = '', seconds = '', id = '', signature = ''] =
      VALUE.exec(request.get('Cookie') ?? '') ?? [];
    const expected = this.sign(keyName, text);
    // Compares texts, because different last letters can encode the same bytes.
    if (expected?.length !== signature.length) return null;
    if (!timingSafeEqual(Buffer.from(expected), Buffer.from(signature))) return null;
    const endsAt = new Date(Number(seconds) * 1000);
    return endsAt.getTime() > Date.now() ? { keyName, endsAt, id } : 'ended';
  }

  /** @throws Error if there is no key of that name. */
  cookieValue({ keyName, endsAt, id }: AdminSession): string {
    const text = `${keyName}.${Math.floor(endsAt.getTime() / 1000)}.${id}`;
    const signature = this.sign(keyName, text);
    if (signature === null) throw new Error('There is no such key');
    return `${text}.${signature}`;
  }

  private sign(keyName: string, text: string): string | null {
    return this.keys.sign(keyName, text)?.toString('base64url') ?? null;
  }
}

function attributes(path: string, request: Request): CookieOptions {
  // A proxy that terminates TLS may not say so, but the form's Origin is the scheme that the browser used.
  const isSecure = request.secure || request.get('Origin')?.startsWith('https:') === true;
  return { httpOnly: true, sameSite: 'strict', secure: isSecure, path };
}
