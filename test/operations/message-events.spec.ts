import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MessageEvent } from '../../src/message-events/message-event.entity.js';
import { TestApplication } from '../support/application.js';
import { seedMessage } from '../support/seed.js';
import { callApi, withAdminKeys } from './api.js';

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
    ['from=2026-03-01T10:05:00Z', ['SMlate', 'SMstrange']],
    ['to=2026-03-01T10:01:00Z', ['SMold']],
    ['status=delivered&from=2026-03-01T11:03:00%2B01:00&to=2026-03-01T10:06:00Z', ['SMrcs']],
  ];

  it.each(filters)('finds by ?%s, the newest first', async (query, expected) => {
    expect(sidsOf(await list(query))).toEqual(expected);
  });

  it('finds those of a company', async () => {
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

  it('goes on among events of the same microsecond', async () => {
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

  it('masks the telephone numbers unless whole ones are asked for', async () => {
    expect((await list('messageSid=SMlate')).items[0]?.to).toBe('+*********5678');
    expect((await list('messageSid=SMlate&numbers=true')).items[0]?.to).toBe('+4915112345678');
  });

  const refusals: [string, string][] = [
    ['from=yesterday', 'from: must be a time with its zone'],
    ['number=nobody', 'number: must be a number in E.164'],
    ['company=nobody', 'not of the type'],
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
