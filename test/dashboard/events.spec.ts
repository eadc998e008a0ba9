import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { AdminSessions } from '../../src/operations/admin-sessions.js';
import { ADMIN_KEY, withAdminKeys } from '../operations/api.js';
import { TestApplication } from '../support/application.js';
import { DatabaseLine } from '../support/database-line.js';
import { policyFailure } from '../support/fallbacks.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { randomMessageSid } from '../support/seed.js';
import { createServiceDatabase } from '../support/service-database.js';
import { endServices, ServiceProcess } from '../support/service-process.js';
import { createTestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';
import { EventStream } from './event-stream.js';
import { fromPage, get, signIn } from './visitor.js';

/** The longest that `docker stop` waits is 10 seconds. */
const SHUTDOWN_LIMIT = 5_000;

describe('the stream that the page listens to', () => {
  const closing: (() => Promise<unknown>)[] = [];

  afterEach(async () => {
    for (const close of closing.splice(0).toReversed()) await close();
  });

  async function open(service: { origin: string }, cookie: string): Promise<EventStream> {
    const stream = await EventStream.open(service, cookie);
    closing.push(() => stream.close());
    return stream;
  }

  it('reports a callback, the database going and coming back, and nothing while nothing happens', async () => {
    const line = await DatabaseLine.open(await createTestDatabase());
    const application = await TestApplication.start({ env: withAdminKeys, database: line });
    closing.push(
      () => line.close(),
      () => application.close(),
    );
    const stream = await open(application, await signIn(application));
    expect(stream.headers.get('content-type')).toBe('text/event-stream');
    await stream.untilToldOf('up');
    const statements = jest.spyOn(application.dataSource, 'query');
    const looks = () => statements.mock.calls.filter(([sql]) => sql.includes('as overdue')).length;
    // Each finding is reported before the next one.
    await until('three looks for what is new', () => looks() >= 3);
    expect(stream.situations).toHaveLength(1);

    await policyFailure(application, randomMessageSid());
    await until('another version', () => stream.situations.length > 1);
    expect(stream.situations[1]?.version).not.toBe(stream.situations[0]?.version);

    const before = stream.situations.length;
    line.cut();
    await stream.untilToldOf('away', before);
    line.mend();
    await stream.untilToldOf('up', before + 1);
  });

  it('is for one session, as long as it lasts, and for a hundred at most', async () => {
    const application = await TestApplication.start({ env: withAdminKeys });
    closing.push(() => application.close());
    expect((await get(application, '/dashboard/events', fromPage)).status).toBe(401);

    const cookie = await signIn(application);
    expect(
      (await get(application, '/dashboard/events', { Cookie: cookie, 'Sec-Fetch-Site': 'cross-site' }))
        .status,
    ).toBe(403);
    const [name = '', value = ''] = cookie.split('=');
    const keyName = value.slice(0, 8);
    const short = application.app
      .get(AdminSessions, { strict: false })
      .cookieValue({ keyName, endsAt: minutesAgo(-3 / 60), id: 'session-of-tests' });
    const ending = await open(application, `${name}=${short}`);
    await ending.untilToldOf('up');
    await until('the stream to end with its session', () => ending.hasEnded);

    const streams = await Promise.all(Array.from({ length: 100 }, () => open(application, cookie)));
    await Promise.all(streams.map((stream) => stream.untilToldOf('up')));
    expect((await open(application, cookie)).status).toBe(503);
    await streams[0]?.close();
    await until('there to be room again', async () => (await open(application, cookie)).status === 200);
  });

  it('does not delay a shutdown', async () => {
    const database = await createServiceDatabase();
    closing.push(() => database.remove());
    closing.push(() => endServices());
    const service = await ServiceProcess.start({ ...database.env, ADMIN_API_KEYS: ADMIN_KEY });
    const stream = await open(service, await signIn(service));
    await stream.untilToldOf('up');
    const before = Date.now();
    service.signal('SIGTERM');
    expect(await service.ended).toEqual({ code: 0, signal: null });
    expect(Date.now() - before).toBeLessThan(SHUTDOWN_LIMIT);
    await until('the stream to end', () => stream.hasEnded);
  });
});
