import type { Request } from 'express';

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
