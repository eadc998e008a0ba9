import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TestApplication } from '../support/application.js';
import { errorBody, postCallback, statusParameters } from '../webhooks/post-callback.js';
import { callApi, withAdminKeys } from './api.js';

interface RejectedPage {
  items: { id: string; reason: string; payload: Record<string, unknown>; createdAt: string }[];
  nextCursor: string | null;
}

const ROUTE = '/api/v1/rejected-callbacks';

describe('the list of rejected callbacks', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({ env: withAdminKeys });
    for (let sent = 0; sent < 5; sent += 1) {
      const answer = await postCallback(application, {
        parameters: statusParameters({
          MessageStatus: '',
          To: `whatsapp:+1555765432${sent}`,
          WaId: '15557654321',
        }),
      });
      expect(errorBody(answer).statusCode).toBe(400);
    }
  });

  afterAll(async () => {
    await application.close();
  });

  it('shows the newest first, with the reason, and masks telephone numbers', async () => {
    const { body } = await callApi<RejectedPage>(application, ROUTE);
    expect(body.nextCursor).toBeNull();
    expect(body.items.map(({ payload }) => payload.To)).toEqual(
      [4, 3, 2, 1, 0].map((digit) => `whatsapp:+*******432${digit}`),
    );
    expect(body.items[0]).toMatchObject({
      reason: 'MessageStatus must not be empty',
      payload: { WaId: '*******4321' },
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) as unknown,
    });
  });

  it('shows whole numbers on request, and logs who asked', async () => {
    const { body } = await callApi<RejectedPage>(application, `${ROUTE}?numbers=true&limit=1`);
    expect(body.items[0]?.payload.To).toBe('whatsapp:+15557654324');
    expect(application.logs.lines.at(-1)).toEqual({
      level: 'warn',
      message: 'Whole telephone numbers were asked for',
      fields: [
        {
          key: expect.stringMatching(/^[0-9a-f]{8}$/) as unknown,
          method: 'GET',
          path: ROUTE,
          ip: '127.0.0.1',
        },
      ],
    });
  });

  it('is read page by page, each row once', async () => {
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const after: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const { body }: { body: RejectedPage } = await callApi<RejectedPage>(
        application,
        `${ROUTE}?limit=2${after}`,
      );
      expect(body.items.length).toBeLessThanOrEqual(2);
      seen.push(...body.items.map(({ id }) => id));
      cursor = body.nextCursor;
    }
    expect(seen).toEqual(['5', '4', '3', '2', '1']);
  });

  const refusals: [string, string][] = [
    ['limit=0', 'limit: '],
    ['limit=101', 'limit: '],
    ['limit=ten', 'limit: '],
    ['cursor=nonsense', 'cursor: is not a cursor of this list'],
    [
      `cursor=${Buffer.from('{"id":"1 or 1=1"}').toString('base64url')}`,
      'cursor: is not a cursor of this list',
    ],
    ['numbers=yes', 'numbers: '],
    ['colour=red', 'colour'],
  ];

  it.each(refusals)('answers 400 to ?%s and says why', async (query, reason) => {
    const answer = await callApi<{ message: string[] }>(application, `${ROUTE}?${query}`);
    expect(answer).toMatchObject({ status: 400, body: { statusCode: 400, error: 'Bad Request' } });
    expect(answer.body.message.join('\n')).toContain(reason);
  });
});
