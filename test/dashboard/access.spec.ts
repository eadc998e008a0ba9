import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { AdminSessions } from '../../src/operations/admin-sessions.js';
import { seedFallback } from '../commands/ended-fallback.js';
import { ADMIN_KEY, NAMED_ADMIN_KEY, OTHER_ADMIN_KEY, withAdminKeys } from '../operations/api.js';
import { TestApplication } from '../support/application.js';
import { untilAllIsDone } from '../support/fallbacks.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { createTestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';
import { EventStream } from './event-stream.js';
import { fromPage, get, type Headers, sendForm, signIn } from './visitor.js';

const API = '/api/v1/rejected-callbacks';

describe('the page without ADMIN_API_KEYS', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(async () => {
    await application.close();
  });

  const routes = ['/dashboard', '/dashboard/events', '/dashboard/assets/main.js', '/dashboard/assets/'];

  it.each(routes)('is missing: %s gets the same answer as an unknown route', async (path) => {
    const answer = await get(application, path);
    const nothing = await get(application, '/nothing');
    expect(answer.status).toBe(404);
    expect(await answer.text()).toBe((await nothing.text()).replace('/nothing', path));
    expect([...answer.headers.keys()]).toEqual([...nothing.headers.keys()]);
  });

  it.each(['/dashboard/login', '/dashboard/logout'])('takes no form at %s', async (path) => {
    const answer = await sendForm(application, path, { key: ADMIN_KEY });
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ message: `Cannot POST ${path}` });
  });
});

describe('a session', () => {
  let database: DatabaseConnection;
  let application: TestApplication;
  let cookie: string;

  beforeAll(async () => {
    database = await createTestDatabase();
    application = await TestApplication.start({ env: withAdminKeys, database });
    cookie = await signIn(application);
  });

  afterAll(async () => {
    await application.close();
    await database.close();
  });

  /** Signed with one of the keys, but with another ending. */
  function sessionUntil(endsAt: Date): string {
    const name = cookie.slice(0, cookie.indexOf('='));
    const [keyName = ''] = cookie.slice(name.length + 1).split('.');
    return `${name}=${application.app.get(AdminSessions, { strict: false }).cookieValue({ keyName, endsAt, id: 'session-of-tests' })}`;
  }

  it('opens the API and its description to the page, and so does one of another key', async () => {
    const other = await signIn(application, OTHER_ADMIN_KEY);
    for (const path of [API, '/api/docs-json', '/api/v1/error-codes']) {
      for (const Cookie of [cookie, other]) {
        expect((await get(application, path, { Cookie, ...fromPage })).status).toBe(200);
      }
    }
  });

  const readings: [string, number, Headers][] = [
    ['a typed address', 200, { 'Sec-Fetch-Site': 'none' }],
    ['a browser that says nothing', 200, {}],
    ['another site', 403, { 'Sec-Fetch-Site': 'cross-site' }],
    ['another service of the same domain', 403, { 'Sec-Fetch-Site': 'same-site' }],
  ];

  it.each(readings)('of %s is answered %i when it reads', async (_, status, headers) => {
    expect((await get(application, API, { Cookie: cookie, ...headers })).status).toBe(status);
  });

  const writings: [string, number, (origin: string) => Headers][] = [
    ['the page', 202, () => fromPage],
    ['the page where the browser tells the origin only', 202, (origin) => ({ Origin: origin })],
    ['another site', 403, (origin) => ({ Origin: origin, 'Sec-Fetch-Site': 'cross-site' })],
    ['another service of the same domain', 403, () => ({ 'Sec-Fetch-Site': 'same-site' })],
    ['a typed address', 403, () => ({ 'Sec-Fetch-Site': 'none' })],
    ['another origin', 403, () => ({ Origin: 'https://other.example.com' })],
    ['an origin that is not told', 403, () => ({ Origin: 'null' })],
    ['a browser that says nothing', 403, () => ({})],
  ];

  it.each(writings)('of %s is answered %i when it changes something', async (_, status, headers) => {
    const { twilioSid } = await seedFallback(application, { state: 'skipped', reason: 'no_sender_number' });
    const answer = await fetch(`${application.origin}/api/v1/fallbacks/${twilioSid}/retry`, {
      method: 'POST',
      headers: { Cookie: cookie, ...headers(application.origin) },
    });
    expect(answer.status).toBe(status);
    if (status === 202) await untilAllIsDone(application, twilioSid);
  });

  it('is refused if its cookie differs slightly', async () => {
    const changed = cookie.endsWith('A') ? `${cookie.slice(0, -1)}B` : `${cookie.slice(0, -1)}A`;
    const longer = cookie.replace(/\.(\d{10})\./, (_, seconds: string) => `.${Number(seconds) + 1}.`);
    for (const Cookie of [changed, longer, cookie.slice(0, -1), cookie.split('.').slice(0, 2).join('.')]) {
      expect((await get(application, API, { Cookie, ...fromPage })).status).toBe(401);
    }
  });

  it('opens nothing once it has ended, and does not count toward a limit', async () => {
    const Cookie = sessionUntil(minutesAgo(0));
    for (let times = 0; times < 12; times += 1) {
      const answer = await get(application, API, { Cookie, ...fromPage });
      expect(answer.status).toBe(401);
      expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="operators"');
    }
    expect(await (await get(application, '/dashboard', { Cookie })).text()).toContain('<title>Sign in');
    expect((await get(application, API, { Cookie: sessionUntil(minutesAgo(-1)), ...fromPage })).status).toBe(
      200,
    );
  });

  it('logs the name of its key when it asks for whole numbers', async () => {
    await get(application, '/api/v1/message-events?numbers=true', { Cookie: cookie, ...fromPage });
    expect(application.logs.lines).toContainEqual(
      expect.objectContaining({
        message: 'Whole telephone numbers were asked for',
        fields: [expect.objectContaining({ key: expect.stringMatching(/^[0-9a-f]{8}$/) as unknown })],
      }),
    );
  });

  it('has the name of its key, and accepts the key with or without the name', async () => {
    for (const given of [NAMED_ADMIN_KEY, `alice:${NAMED_ADMIN_KEY}`]) {
      const named = await signIn(application, given);
      expect((await get(application, API, { Cookie: named, ...fromPage })).status).toBe(200);
      await get(application, '/api/v1/message-events?numbers=true', { Cookie: named, ...fromPage });
      expect(application.logs.lines.at(-1)).toMatchObject({ fields: [{ key: 'alice' }] });
    }
    expect((await sendForm(application, '/dashboard/login', { key: `bob:${NAMED_ADMIN_KEY}` })).status).toBe(
      401,
    );
  });

  it('ends on every replica when its owner signs out, with its streams, and no other session does', async () => {
    const [copied, kept] = [await signIn(application), await signIn(application)];
    const replica = await TestApplication.start({ env: withAdminKeys, database });
    const both = [application, replica];
    const streams = await Promise.all(both.map((service) => EventStream.open(service, copied)));
    const keptStream = await EventStream.open(replica, kept);
    try {
      for (const stream of streams) await stream.untilToldOf('up');
      await sendForm(application, '/dashboard/logout', {}, { Cookie: copied, ...fromPage });
      for (const service of both) {
        expect((await get(service, API, { Cookie: copied, ...fromPage })).status).toBe(401);
        expect((await get(service, '/api/docs-json', { Cookie: copied, ...fromPage })).status).toBe(401);
        expect((await get(service, '/dashboard/events', { Cookie: copied, ...fromPage })).status).toBe(401);
        expect(await (await get(service, '/dashboard', { Cookie: copied })).text()).toContain(
          '<title>Sign in',
        );
        expect((await get(service, API, { Cookie: kept, ...fromPage })).status).toBe(200);
      }
      await until('the streams to end', () => streams.every(({ hasEnded }) => hasEnded));
      expect(keptStream.hasEnded).toBe(false);
    } finally {
      await Promise.all([...streams, keptStream].map((stream) => stream.close()));
      await replica.close();
    }
  });

  it('stays in the browser if the database cannot store the sign-out', async () => {
    const Cookie = await signIn(application);
    await application.query('alter table ended_sessions rename to away');
    const failed = await sendForm(application, '/dashboard/logout', {}, { Cookie, ...fromPage });
    await application.query('alter table away rename to ended_sessions');
    expect(failed.status).toBeGreaterThanOrEqual(500);
    expect(failed.headers.get('set-cookie')).toBeNull();
    const ended = await sendForm(application, '/dashboard/logout', {}, { Cookie, ...fromPage });
    expect(ended.headers.get('set-cookie')).toMatch(/Expires=Thu, 01 Jan 1970/);
    expect((await get(application, API, { Cookie, ...fromPage })).status).toBe(401);
  });

  it('stays ended until it expires, however often its owner signs out', async () => {
    const Cookie = await signIn(application);
    await application.query(`update ended_sessions set ends_at = now() - interval '1 second'`);
    for (let times = 0; times < 2; times += 1) {
      expect((await sendForm(application, '/dashboard/logout', {}, { Cookie, ...fromPage })).status).toBe(
        303,
      );
    }
    const rows = await application.query<{ id: string }>('select id from ended_sessions');
    expect(rows).toEqual([{ id: Cookie.split('.')[2] }]);
  });

  it('ends on every replica once its key is removed', async () => {
    const kept = await signIn(application, OTHER_ADMIN_KEY);
    const replica = await TestApplication.start({ env: { ADMIN_API_KEYS: OTHER_ADMIN_KEY }, database });
    try {
      expect((await get(replica, API, { Cookie: cookie, ...fromPage })).status).toBe(401);
      expect((await get(replica, API, { Cookie: kept, ...fromPage })).status).toBe(200);
    } finally {
      await replica.close();
    }
  });
});
