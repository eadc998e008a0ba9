import type { Request } from 'express';

/**
 * Whether the browser says that a page of this service made the request. It says so in Sec-Fetch-Site, but only to a
 * service that it reaches by https or on its own computer; else in Origin, which goes with every POST.
 */
export function isFromOwnPage(request: Request): boolean {
  const site = request.get('Sec-Fetch-Site');
  if (site !== undefined) return site === 'same-origin';
  return hostOf(request.get('Origin') ?? '') === request.get('Host');
}

/**
 * Whether a session may speak for the request: one that changes something only from a page of this service, and one that
 * reads from wherever the browser does not say that it is another site's. That SameSite keeps the cookie from those is a
 * second bar, not the only one.
 */
export function maySessionSpeakFor(request: Request): boolean {
  const isReading = request.method === 'GET' || request.method === 'HEAD';
  // `none`: a person has typed the address, or taken a bookmark.
  if (isReading && (request.get('Sec-Fetch-Site') ?? 'none') === 'none') return true;
  return isFromOwnPage(request);
}

/** @returns null for `null`, which a browser sends for an origin that it does not tell. */
function hostOf(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null;
}
