import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MessageEvent } from '../../src/message-events/message-event.entity.js';
import { TestApplication } from '../support/application.js';
import { seedMessage } from '../support/seed.js';
import { ADMIN_KEY, callApi, withAdminKeys } from './api.js';

interface EventItem {
  id: string;
  messageSid: string;
  status: string;
  to: string | null;
  createdAt: string;
}

interface EventPage {
  items: EventItem[];
  nextCursor: string | null;
}

const ROUTE = '/api/v1/message-events';

/** Names of events, the oldest first: one each minute. */
const EVENTS: [string, Partial<MessageEvent>][] = [
  ['SMold', { messageStatus: 'delivered', channel: 'sms' }],
  ['SMread', { messageStatus: 'read' }],
  ['SMblocked', { messageStatus: 'undelivered', errorCode: '63049' }],
  ['SMrcs', { messageStatus: 'delivered', channel: 'rcs' }],
  ['SMfailed', { messageStatus: 'failed', errorCode: '63016' }],
  ['SMstrange', { messageStatus: 'pondering' }],
  ['SMlate', { messageStatus: 'delivered', toNumber: '+4915112345678' }],
];

const BEGIN = Date.parse('2026-03-01T10:00:00Z');

describe('the list of events', () => {
  let application: TestApplication;
  let companyId: string;

  beforeAll(async () => {
    application = await TestApplication.start({ env: withAdminKeys });
    const { id: messageId, conversationId } = await seedMessage(application.dataSource, {
      twilioSid: 'SMread',
    });
    await application.dataSource.manager.save(
      MessageEvent,
      EVENTS.map(([messageSid, columns], index) => ({
        messageSid,
        channel: 'whatsapp',
        accountSid: 'AC1',
        toNumber: '+15557654321',
        payload: {},
        createdAt: new Date(BEGIN + index * 60_000),
        ...(messageSid === 'SMread' && { messageId }),
        ...columns,
      })),
    );
    const [conversation] = await application.query<{ company_id: string }>(
      'select company_id from conversations where id = $1',
      [conversationId],
    );
    companyId = conversation?.company_id ?? '';
  });

  afterAll(async () => {
    await application.close();
  });

  async function list(query: string): Promise<EventPage> {
    const answer = await callApi<EventPage>(application, `${ROUTE}?${query}`);
    expect(answer.status).toBe(200);
    return answer.body;
  }

  const sidsOf = ({ items }: EventPage) => items.map(({ messageSid }) => messageSid);

  const filters: [string, string[]][] = [
    ['', ['SMlate', 'SMstrange', 'SMfailed', 'SMrcs', 'SMblocked', 'SMread', 'SMold']],
    ['messageSid=SMrcs', ['SMrcs']],
    ['channel=sms', ['SMold']],
    ['channel=whatsapp', ['SMlate', 'SMstrange', 'SMfailed', 'SMblocked', 'SMread']],
    ['status=delivered', ['SMlate', 'SMrcs', 'SMold']],
    ['status=pondering', ['SMstrange']],
    ['channel=whatsapp&status=delivered', ['SMlate']],
    ['channel=fax', []],
    ['errorCode=63049', ['SMblocked']],
    ['errorCode=63016&channel=whatsapp&status=failed', ['SMfailed']],
    ['errorCode=63016&channel=sms', []],
    ['number=%2B4915112345678', ['SMlate']],
    ['number=+4915112345678', ['SMlate']],
    ['number=4915112345678&status=failed', []],
    [`number=${encodeURIComponent('whatsapp:+4915112345678')}`, ['SMlate']],
    [`number=${encodeURIComponent('0049 (151) 123-456.78')}`, ['SMlate']],
    ['from=2026-03-01T10:05:00Z', ['SMlate', 'SMstrange']],
    ['to=2026-03-01T10:01:00Z', ['SMold']],
    ['status=delivered&from=2026-03-01T11:03:00%2B01:00&to=2026-03-01T10:06:00Z', ['SMrcs']],
  ];

  it.each(filters)('finds by ?%s, the newest first', async (query, expected) => {
    expect(sidsOf(await list(query))).toEqual(expected);
  });

  it('finds the events of a company', async () => {
    expect(sidsOf(await list(`company=${companyId}`))).toEqual(['SMread']);
    expect(sidsOf(await list('company=00000000-0000-4000-8000-000000000000'))).toEqual([]);
  });

  it.each(['', '&status=delivered', '&channel=whatsapp', '&number=%2B15557654321'])(
    'is read page by page, each event once: ?%s',
    async (filter) => {
      const expected = sidsOf(await list(`limit=100${filter}`));
      const seen: string[] = [];
      let after: string | null = '';
      while (after !== null) {
        const page: EventPage = await list(`limit=2${filter}${after === '' ? '' : `&cursor=${after}`}`);
        seen.push(...sidsOf(page));
        after = page.nextCursor;
      }
      expect(seen).toEqual(expected);
    },
  );

  it('continues among events of the same microsecond', async () => {
    await application.query(
      `insert into message_events (message_sid, message_status, channel, account_sid, payload, created_at)
       select 'SMsame' || n, 'sent', 'messenger', 'AC1', '{}', '2026-01-01T00:00:00.123456Z' from generate_series(1, 5) n`,
    );
    const seen: string[] = [];
    let after: string | null = '';
    while (after !== null) {
      const page: EventPage = await list(
        `limit=2&channel=messenger${after === '' ? '' : `&cursor=${after}`}`,
      );
      seen.push(...sidsOf(page));
      after = page.nextCursor;
    }
    expect(seen.toSorted()).toEqual(['SMsame1', 'SMsame2', 'SMsame3', 'SMsame4', 'SMsame5']);
  });

  it('masks the telephone numbers unless whole ones are requested', async () => {
    expect((await list('messageSid=SMlate')).items[0]?.to).toBe('+*********5678');
    expect((await list('messageSid=SMlate&numbers=true')).items[0]?.to).toBe('+4915112345678');
  });

  it('can be searched by a number in the body too, which no proxy logs', async () => {
    const search = (body: unknown) =>
      callApi<EventPage>(application, `${ROUTE}/search`, { method: 'POST', body });
    const all = await search({ number: '+1 (555) 765-4321', limit: 100 });
    expect(all.status).toBe(200);
    expect(sidsOf(all.body)).toEqual(sidsOf(await list('number=%2B15557654321&limit=100')));
    expect(sidsOf(all.body).length).toBeGreaterThan(1);
    expect(all.body.items[0]?.to).toBe('+*******4321');
    const first = await search({ number: '+15557654321', limit: 1 });
    expect(first.body.nextCursor).not.toBeNull();
    const second = await search({ number: '+15557654321', limit: 1, cursor: first.body.nextCursor });
    expect([...sidsOf(first.body), ...sidsOf(second.body)]).toEqual(sidsOf(all.body).slice(0, 2));
  });

  it('logs who searched for whole numbers', async () => {
    const before = application.logs.messages().length;
    const body = { messageSid: 'SMlate', numbers: true };
    const answer = await callApi<EventPage>(application, `${ROUTE}/search`, { method: 'POST', body });
    expect(answer.body.items[0]?.to).toBe('+4915112345678');
    expect(application.logs.messages().slice(before)).toContain('Whole telephone numbers were asked for');
  });

  it.each([{ number: 'nobody' }, { numbers: 'true' }, { from: 'yesterday' }, { sid: 'SM1' }, [], 'text'])(
    'answers 400 to a search for %j',
    async (body) => {
      const answer = await callApi(application, `${ROUTE}/search`, { method: 'POST', body });
      expect(answer.status).toBe(400);
    },
  );

  it('answers 400 to a search without JSON, 413 to a long one, and 401 without a key', async () => {
    const send = (body: string, headers: Record<string, string>) =>
      fetch(`${application.origin}${ROUTE}/search`, { method: 'POST', headers, body });
    const authorization = `Bearer ${ADMIN_KEY}`;
    const asJson = { authorization, 'content-type': 'application/json' };
    expect((await send('number=%2B15557654321', { authorization })).status).toBe(400);
    expect((await send('{"number"', asJson)).status).toBe(400);
    expect((await send(JSON.stringify({ number: 'x'.repeat(5_000) }), asJson)).status).toBe(413);
    for (const body of ['{}', '{"number"', `"${'x'.repeat(5_000)}"`]) {
      expect((await send(body, { 'content-type': 'application/json' })).status).toBe(401);
    }
  });

  const refusals: [string, string][] = [
    ['from=yesterday', 'from: must be a time with its zone'],
    ['number=nobody', 'number: must be a number with its country'],
    ['company=nobody', 'does not match the type'],
    ['status=delivered&status=sent', 'status: '],
    ['limit=1000', 'limit: '],
    ['sid=SM1', 'sid'],
  ];

  it.each(refusals)('answers 400 to ?%s and says why', async (query, reason) => {
    const answer = await callApi<{ message: string | string[] }>(application, `${ROUTE}?${query}`);
    expect(answer).toMatchObject({ status: 400, body: { statusCode: 400 } });
    expect(String(answer.body.message)).toContain(reason);
  });
});

describe('the search for a person', () => {
  let application: TestApplication;

  const USER_ID = 'US.13491208655302741918';
  const PARENT_ID = 'US.ENT.11815799212886844830';
  const PERSON = ['SMboth', 'SMid', 'SMnumber'];
  const people: [string, Partial<MessageEvent>][] = [
    ['SMmexico', { toNumber: '+5215512345678' }],
    ['SMbrazil', { toNumber: '+551187654321' }],
    ['SMargentina', { toNumber: '+5491112345678' }],
    ['SMbenin', { toNumber: '+2290121234567' }],
    ['SMnumber', { toNumber: '+15550107001' }],
    ['SMboth', { toNumber: '+15550107001', userId: USER_ID, parentUserId: PARENT_ID }],
    ['SMid', { userId: USER_ID }],
    ['SMother', { toNumber: '+15550107002', userId: `${USER_ID}1` }],
  ];

  beforeAll(async () => {
    application = await TestApplication.start({ env: withAdminKeys });
    await application.dataSource.manager.save(
      MessageEvent,
      people.map(([messageSid, columns]) => ({
        ...{ messageSid, messageStatus: 'sent', channel: 'whatsapp', accountSid: 'AC1', payload: {} },
        ...columns,
      })),
    );
  });

  afterAll(() => application.close());

  const searches: [string, string[]][] = [
    ['+525512345678', ['SMmexico']],
    ['+5215512345678', ['SMmexico']],
    ['whatsapp:+52 1 55 1234 5678', ['SMmexico']],
    ['+5511987654321', ['SMbrazil']],
    ['+551187654321', ['SMbrazil']],
    ['+541112345678', ['SMargentina']],
    ['+22921234567', ['SMbenin']],
    ['+15550107001', PERSON],
    [USER_ID, PERSON],
    [`whatsapp:${USER_ID}`, PERSON],
    [` ${USER_ID} `, PERSON],
    [PARENT_ID, PERSON],
    [`${USER_ID}1`, ['SMother']],
    ['US.9', []],
  ];

  it.each(searches)('finds by %j, in the query and in the body', async (number, expected) => {
    const query = `${ROUTE}?number=${encodeURIComponent(number)}`;
    const listed = await callApi<EventPage>(application, query);
    const body = { number };
    const searched = await callApi<EventPage>(application, `${ROUTE}/search`, { method: 'POST', body });
    for (const answer of [listed, searched]) {
      expect(answer.status).toBe(200);
      expect(answer.body.items.map(({ messageSid }) => messageSid).toSorted()).toEqual(expected);
    }
  });

  it('masks the ID like a number', async () => {
    const target = `${ROUTE}?messageSid=SMid`;
    const userIdOf = async (query: string) =>
      (await callApi<{ items: { userId: string }[] }>(application, target + query)).body.items[0]?.userId;
    expect(await userIdOf('')).toBe('US.****************1918');
    expect(await userIdOf('&numbers=true')).toBe(USER_ID);
  });

  it.each(['nobody', '0170 1234567', 'US.', 'us.1349', 'US.1349-1', 'SM0123', 'x'.repeat(161)])(
    'answers 400 to %j, in the query and in the body, and says what it accepts',
    async (number) => {
      const listed = await callApi(application, `${ROUTE}?number=${encodeURIComponent(number)}`);
      const body = { number };
      const searched = await callApi(application, `${ROUTE}/search`, { method: 'POST', body });
      for (const answer of [listed, searched]) {
        expect(answer.status).toBe(400);
        expect(answer.text).toContain(
          number.length > 160
            ? 'number: '
            : 'a number with its country, e.g. +15551234567, or a WhatsApp user ID',
        );
      }
    },
  );
});
