import { ADMIN_KEY } from '../operations/api.js';

interface Service {
  readonly origin: string;
}

/** What a browser would send along, if it sends anything. */
export type Headers = Readonly<Record<string, string>>;

/** A request of the page's own scripts. */
export const fromPage: Headers = { 'Sec-Fetch-Site': 'same-origin' };

/** Sends the form, as the page does unless the headers say otherwise. */
export function sendForm(
  { origin }: Service,
  path: string,
  fields: Readonly<Record<string, string>>,
  headers: Headers = fromPage,
): Promise<Response> {
  return fetch(origin + path, {
    method: 'POST',
    body: new URLSearchParams(fields),
    headers,
    redirect: 'manual',
  });
}

/** @returns the `Cookie` header of somebody who gave the key. */
export async function signIn(service: Service, key = ADMIN_KEY): Promise<string> {
  const answer = await sendForm(service, '/dashboard/login', { key });
  const [cookie] = answer.headers.getSetCookie();
  if (answer.status !== 303 || cookie === undefined)
    throw new Error(`The form was answered ${answer.status}`);
  return cookie.slice(0, cookie.indexOf(';'));
}

export function get({ origin }: Service, path: string, headers: Headers = {}): Promise<Response> {
  return fetch(origin + path, { headers, redirect: 'manual' });
}
