import type { TestApplication } from '../support/application.js';

export const ADMIN_KEY = 'an-admin-key-of-some-length-1';
export const OTHER_ADMIN_KEY = 'an-admin-key-of-some-length-2';

export const NAMED_ADMIN_KEY = 'an-admin-key-of-some-length-3';

/** The environment of an application with the API switched on. */
export const withAdminKeys = { ADMIN_API_KEYS: `${ADMIN_KEY},${OTHER_ADMIN_KEY},alice:${NAMED_ADMIN_KEY}` };

export interface ApiAnswer<Body> {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Body;
}

export interface ApiCall {
  readonly method?: 'GET' | 'POST';
  /** The whole header; null for none. Default: a valid key. */
  readonly authorization?: string | null;
  /** Sent as JSON. */
  readonly body?: unknown;
}

/** Calls the API over HTTP. The body is what it answers, without a look at whether it is one. */
export async function callApi<Body = Record<string, unknown>>(
  application: Pick<TestApplication, 'origin'>,
  target: string,
  { method = 'GET', authorization = `Bearer ${ADMIN_KEY}`, body }: ApiCall = {},
): Promise<ApiAnswer<Body>> {
  const response = await fetch(application.origin + target, {
    method,
    headers: {
      ...(authorization !== null && { authorization }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') === true;
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: (isJson ? JSON.parse(text) : {}) as Body,
  };
}
