import { Injectable } from '@nestjs/common';
import type { CookieOptions, Request, Response } from 'express';
import { timingSafeEqual } from 'node:crypto';
import { AdminKeys } from './admin-keys.js';

const COOKIE = 'whatsapp_sms_fallback_session';

/** What a cookie's value is made of: the name of a key, the end of the session in seconds, and a signature. */
const VALUE = new RegExp(`(?:^|; *)${COOKIE}=(([\\w-]{1,32})\\.(\\d{1,11}))\\.([\\w-]{43})(?:;|$)`);

/** A working day, in milliseconds. */
const SESSION_LASTS = 12 * 3_600_000;

/** Somebody who gave a key in a form, and whose browser is remembered by a cookie since. */
export interface AdminSession {
  /** A name for the key that can stand in a log. */
  readonly keyName: string;
  readonly endsAt: Date;
}

/**
 * Sessions are kept nowhere but in signed cookies, so any replica takes them. They end after twelve hours, or when their
 * key is no key any more.
 */
@Injectable()
export class AdminSessions {
  constructor(private readonly keys: AdminKeys) {}

  /** @param keyName of the key that was given. */
  begin(keyName: string, request: Request, response: Response): void {
    const endsAt = new Date(Date.now() + SESSION_LASTS);
    response.cookie(COOKIE, this.cookieValue({ keyName, endsAt }), {
      ...attributes(request),
      expires: endsAt,
    });
  }

  /** The browser forgets it. */
  end(request: Request, response: Response): void {
    response.clearCookie(COOKIE, attributes(request));
  }

  /** @returns null where there is none, or one that this service has not signed with one of its keys. */
  find(request: Request): AdminSession | 'ended' | null {
    const [, text = '', keyName = '', seconds = '', signature = ''] =
      VALUE.exec(request.get('Cookie') ?? '') ?? [];
    const expected = this.sign(keyName, text);
    // As texts, because the last letter of two can differ and stand for the same bytes.
    if (expected?.length !== signature.length) return null;
    if (!timingSafeEqual(Buffer.from(expected), Buffer.from(signature))) return null;
    const endsAt = new Date(Number(seconds) * 1000);
    return endsAt.getTime() > Date.now() ? { keyName, endsAt } : 'ended';
  }

  /** @throws Error where there is no key of that name. */
  cookieValue({ keyName, endsAt }: AdminSession): string {
    const text = `${keyName}.${Math.floor(endsAt.getTime() / 1000)}`;
    const signature = this.sign(keyName, text);
    if (signature === null) throw new Error('There is no such key');
    return `${text}.${signature}`;
  }

  private sign(keyName: string, text: string): string | null {
    return this.keys.sign(keyName, text)?.toString('base64url') ?? null;
  }
}

function attributes(request: Request): CookieOptions {
  // A proxy that ends TLS may tell nothing of it, but the form's Origin is how the browser itself came here.
  const isSecure = request.secure || request.get('Origin')?.startsWith('https:') === true;
  return { httpOnly: true, sameSite: 'strict', secure: isSecure, path: '/' };
}
