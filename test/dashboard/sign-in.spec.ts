import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ADMIN_KEY, withAdminKeys } from '../operations/api.js';
import { TestApplication } from '../support/application.js';
import { fromPage, get, type Headers, sendForm, signIn } from './visitor.js';

const LOGIN = '/dashboard/login';
const LIMIT = 10;

describe('signing in', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({ env: withAdminKeys });
  });

  afterAll(async () => {
    await application.close();
  });

  it('shows a form with a strict content security policy', async () => {
    const answer = await get(application, '/dashboard');
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain('action="dashboard/login"');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('content-security-policy')?.split(';').toSorted()).toEqual([
      "base-uri 'none'",
      "connect-src 'self'",
      "default-src 'none'",
      "form-action 'self'",
      "frame-ancestors 'none'",
      "img-src 'self'",
      "script-src 'self'",
      "style-src 'self'",
    ]);
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
  });

  it('leads to the page, with a cookie that no script sees and no other site sends', async () => {
    const answer = await sendForm(application, LOGIN, { key: ` ${ADMIN_KEY}\n` });
    expect(answer.status).toBe(303);
    expect(answer.headers.get('location')).toBe('../dashboard');
    const [cookie = ''] = answer.headers.getSetCookie();
    const [value = '', ...attributes] = cookie.split('; ');
    expect(value).toMatch(/^whatsapp_sms_fallback_session=[0-9a-f]{8}\.\d{10}\.[\w-]{16}\.[\w-]{43}$/);
    expect(attributes.filter((attribute) => !attribute.startsWith('Expires=')).toSorted()).toEqual([
      'HttpOnly',
      'Path=/',
      'SameSite=Strict',
    ]);
    const hours = (Date.parse(cookie.replace(/.*Expires=([^;]*).*/, '$1')) - Date.now()) / 3_600_000;
    expect(hours).toBeGreaterThan(11.9);
    expect(hours).toBeLessThanOrEqual(12);
    const page = await get(application, '/dashboard', { Cookie: value });
    expect(await page.text()).toContain('<main id="main"');
  });

  it('gives a cookie for https only if the browser came by https', async () => {
    const answer = await sendForm(
      application,
      LOGIN,
      { key: ADMIN_KEY },
      { ...fromPage, Origin: 'https://hooks.example.com' },
    );
    expect(answer.headers.getSetCookie()[0]).toContain('; Secure');
  });

  it('is refused from another site, with no cookie', async () => {
    const foreign: Headers[] = [
      { 'Sec-Fetch-Site': 'cross-site' },
      { Origin: 'https://other.example.com' },
      {},
    ];
    for (const headers of foreign) {
      const answer = await sendForm(application, LOGIN, { key: ADMIN_KEY }, headers);
      expect(answer.status).toBe(403);
      expect(answer.headers.getSetCookie()).toEqual([]);
      expect(await answer.text()).toContain('role="alert"');
    }
  });

  it('refuses a long form', async () => {
    expect((await sendForm(application, LOGIN, { key: 'x'.repeat(5_000) })).status).toBe(413);
  });

  it('requests the page once more if a link on another site led to it', async () => {
    const arrived = await get(application, '/dashboard', { 'Sec-Fetch-Site': 'cross-site' });
    expect(await arrived.text()).toContain('arrival.js"');
    const again = await get(application, '/dashboard', fromPage);
    expect(await again.text()).toContain('<form');
  });

  it('ends when the person signs out', async () => {
    const Cookie = await signIn(application);
    const foreign = await sendForm(
      application,
      '/dashboard/logout',
      {},
      { Cookie, 'Sec-Fetch-Site': 'cross-site' },
    );
    expect(foreign.status).toBe(403);
    const answer = await sendForm(application, '/dashboard/logout', {}, { Cookie, ...fromPage });
    expect(answer.status).toBe(303);
    expect(answer.headers.getSetCookie()[0]).toMatch(/_session=; .*Expires=Thu, 01 Jan 1970/);
  });

  it('shows the form again after a wrong key, and after ten times says how long to wait', async () => {
    for (let times = 0; times < LIMIT; times += 1) {
      const key = times === 0 ? '' : `a-key-that-somebody-guesses-${times}`;
      const refused = await sendForm(application, LOGIN, { key });
      expect(refused.status).toBe(401);
      expect(await refused.text()).toMatch(/role="alert">Wrong key\./);
      expect(refused.headers.getSetCookie()).toEqual([]);
    }
    const limited = await sendForm(application, LOGIN, { key: 'another-guess' });
    expect(limited.status).toBe(429);
    const seconds = limited.headers.get('retry-after') ?? '';
    expect(await limited.text()).toContain(`wait ${seconds} seconds`);
    expect(JSON.stringify(application.logs.lines)).not.toMatch(/somebody-guesses|another-guess|admin-key/);
  });

  it('is never limited with a valid key', async () => {
    expect(await signIn(application)).toContain('_session=');
  });
});
