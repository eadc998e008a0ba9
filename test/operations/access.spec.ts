import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TestApplication } from '../support/application.js';
import type { CollectedLine } from '../support/collected-logs.js';
import { postCallback } from '../webhooks/post-callback.js';
import { ADMIN_KEY, type ApiCall, callApi, OTHER_ADMIN_KEY, withAdminKeys } from './api.js';

const ROUTES = [
  '/api/v1/message-events',
  '/api/v1/fallbacks',
  '/api/v1/stats',
  '/api/v1/queue',
  '/metrics',
  '/api/v1/rejected-callbacks',
  '/api/docs',
  '/api/docs-json',
];
const LIMIT = 10;

describe('the API without ADMIN_API_KEYS', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(async () => {
    await application.close();
  });

  it.each(ROUTES)('answers 404 at %s, as at an unknown route', async (route) => {
    const answer = await callApi(application, route);
    const nothing = await callApi(application, '/api/v1/nothing');
    expect(answer).toMatchObject({ status: 404, body: { ...nothing.body, message: `Cannot GET ${route}` } });
  });

  it('answers 404 to a search, whatever its body is', async () => {
    const headers = { 'content-type': 'application/json' };
    for (const body of ['{"number"', '{}', `"${'x'.repeat(5_000)}"`]) {
      const search = { method: 'POST', headers, body };
      const answer = await fetch(`${application.origin}/api/v1/message-events/search`, search);
      expect(answer.status).toBe(404);
    }
  });

  it('still has health and the webhook', async () => {
    expect((await callApi(application, '/health/ready', { authorization: null })).status).toBe(200);
    expect((await postCallback(application)).status).toBe(204);
  });
});

describe('the API with ADMIN_API_KEYS', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({ env: withAdminKeys });
  });

  afterAll(async () => {
    await application.close();
  });

  describe.each(ROUTES)('at %s', (route) => {
    it.each([ADMIN_KEY, OTHER_ADMIN_KEY])('accepts each of the keys', async (key) => {
      expect((await callApi(application, route, { authorization: `Bearer ${key}` })).status).toBe(200);
    });

    it('sends headers that forbid scripts and frames', async () => {
      const { headers } = await callApi(application, route);
      const policy = headers.get('content-security-policy') ?? '';
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toMatch(/script-src[^;]*unsafe/);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('referrer-policy')).toBe('no-referrer');
      expect(headers.get('x-powered-by')).toBeNull();
    });
  });

  it('forbids scripts and caching in an answer with data, whatever the route', async () => {
    const { body } = await callApi<{ paths: Record<string, object> }>(application, '/api/docs-json');
    const routes = Object.entries(body.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => ({ path, method: method === 'get' ? 'GET' : 'POST' }) as const),
    );
    expect(routes.length).toBeGreaterThan(ROUTES.length);
    for (const { path, method } of [...routes, { path: '/metrics' }]) {
      const { headers } = await callApi(application, path, { method });
      expect({
        path,
        cache: headers.get('cache-control'),
        policy: headers.get('content-security-policy'),
      }).toEqual({ path, cache: 'no-store', policy: expect.stringContaining("default-src 'none'") });
    }
  });

  it('accepts the key as a password only at the page for browsers', async () => {
    const authorization = `Basic ${Buffer.from(`anybody:${ADMIN_KEY}`).toString('base64')}`;
    expect((await callApi(application, '/api/docs', { authorization })).status).toBe(200);
    expect((await callApi(application, '/api/v1/rejected-callbacks', { authorization })).status).toBe(401);
  });
});

describe('a request without a valid key', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({ env: withAdminKeys });
  });

  afterAll(async () => {
    await application.close();
  });

  function refusalLines(): CollectedLine[] {
    return application.logs.lines.filter(({ fields }) => JSON.stringify(fields).includes('"ip":'));
  }

  const wrong: [string, ApiCall][] = [
    ['no header', { authorization: null }],
    ['another key', { authorization: `Bearer ${ADMIN_KEY}x` }],
    ['the begin of a key', { authorization: `Bearer ${ADMIN_KEY.slice(0, -1)}` }],
    ['both keys', { authorization: `Bearer ${withAdminKeys.ADMIN_API_KEYS}` }],
    ['a scheme without a key', { authorization: 'Bearer' }],
    ['a key without a scheme', { authorization: ADMIN_KEY }],
  ];

  it.each(wrong)('is answered 401: %s', async (_, call) => {
    const answer = await callApi(application, '/api/v1/rejected-callbacks', call);
    expect(answer).toMatchObject({
      status: 401,
      body: {
        statusCode: 401,
        error: 'Unauthorized',
        message: expect.stringContaining('ADMIN_API_KEYS') as unknown,
      },
    });
    expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="operators"');
    expect(answer.text).not.toContain('stack');
  });

  it('is answered 429 after too many, and no longer logged, while a valid key is accepted', async () => {
    const refused = { authorization: 'Bearer guess' };
    for (let sent = wrong.length; sent < LIMIT; sent += 1) {
      expect((await callApi(application, '/api/docs-json', refused)).status).toBe(401);
    }
    const limited = await callApi(application, '/api/docs-json', refused);
    const logged = refusalLines().length;
    expect(limited).toMatchObject({ status: 429, body: { statusCode: 429 } });
    expect(Number(limited.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect((await callApi(application, '/api/v1/rejected-callbacks', refused)).status).toBe(429);
    expect(logged).toBeGreaterThan(0);
    expect(refusalLines()).toHaveLength(logged);
    expect((await callApi(application, '/api/v1/rejected-callbacks')).status).toBe(200);
  });

  it('logs the reason, and no key in any line', () => {
    expect(application.logs.lines).toContainEqual({
      level: 'warn',
      message: 'A request to the API was refused',
      fields: [{ reason: 'the key is wrong', path: '/api/v1/rejected-callbacks', ip: '127.0.0.1' }],
    });
    expect(JSON.stringify(application.logs.lines)).not.toMatch(/admin-key-of-some-length|guess/);
  });
});
