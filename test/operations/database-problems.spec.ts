import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TestApplication } from '../support/application.js';
import { callApi, withAdminKeys } from './api.js';

const NUMBER = '+15557654321';

describe('the API when the database refuses a statement', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({ env: withAdminKeys });
  });

  afterAll(async () => {
    await application.close();
  });

  it.each([
    '/api/v1/message-events?channel=%00',
    '/api/v1/message-events?messageSid=SM%00',
    '/api/v1/fallbacks?reason=%00',
    '/api/v1/fallbacks/%00',
    '/api/v1/messages/SM%00',
  ])('answers 400 to a text that PostgreSQL cannot hold: %s', async (route) => {
    expect((await callApi(application, route)).status).toBe(400);
  });

  it('answers 400 to such a text in a search', async () => {
    const search = { method: 'POST', body: { messageSid: 'SM\0' } } as const;
    expect((await callApi(application, '/api/v1/message-events/search', search)).status).toBe(400);
  });

  it('logs why, without the number of the search', async () => {
    await application.query('alter table message_events rename to message_events_elsewhere');
    try {
      const search = { method: 'POST', body: { number: NUMBER } } as const;
      const answer = await callApi(application, '/api/v1/message-events/search', search);
      expect(answer).toMatchObject({ status: 500, body: { message: 'Internal Server Error' } });
    } finally {
      await application.query('alter table message_events_elsewhere rename to message_events');
    }
    const errors = application.logs.lines.filter(({ level }) => level === 'error');
    expect(errors).toEqual([
      {
        level: 'error',
        message: 'The database refused a statement of the API',
        fields: [{ code: '42P01', error: expect.stringContaining('"message_events" does not exist') }],
      },
    ]);
    expect(JSON.stringify(application.logs.lines)).not.toContain(NUMBER.slice(3));
  });
});
