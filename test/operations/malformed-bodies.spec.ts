import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { inspect } from 'node:util';
import { TestApplication } from '../support/application.js';
import { ADMIN_KEY, withAdminKeys } from './api.js';

/** A value that no test's valid request has, in each form that a body can have it in. */
const NUMBER = '5557654321';

const JSON_TYPE = 'application/json';
const FORM = 'application/x-www-form-urlencoded';

/** Bodies that every parser or schema refuses, each with a number. */
const BODIES: [string, string, Record<string, string>?][] = [
  [JSON_TYPE, `{"number":"+1${NUMBER}"`],
  [JSON_TYPE, `+1${NUMBER}`],
  [JSON_TYPE, `{"number":+1${NUMBER}}`],
  [JSON_TYPE, `{"number":"+1${NUMBER}\n"}`],
  [JSON_TYPE, `{"number":"+1${NUMBER}"} trailing`],
  [JSON_TYPE, `{'number':'+1${NUMBER}'}`],
  [JSON_TYPE, `"+1${NUMBER}"`],
  [JSON_TYPE, `["+1${NUMBER}"]`],
  [JSON_TYPE, `{"+1${NUMBER}":true}`],
  [JSON_TYPE, `{"number":{"+1${NUMBER}":1}}`],
  [JSON_TYPE, `{"limit":${NUMBER}000}`],
  [JSON_TYPE, `{"from":"+1${NUMBER}"}`],
  [JSON_TYPE, `{"company":"+1${NUMBER}"}`],
  [JSON_TYPE, `{"cursor":"+1${NUMBER}"}`],
  [JSON_TYPE, `{"number":"+1${NUMBER}${'0'.repeat(5_000)}"}`],
  [`${JSON_TYPE}; charset=x${NUMBER}`, `{"number":"+1${NUMBER}"}`],
  [JSON_TYPE, `{"number":"+1${NUMBER}"}`, { 'content-encoding': 'gzip' }],
  [JSON_TYPE, `{"number":"+1${NUMBER}"}`, { 'content-encoding': `x${NUMBER}` }],
  [FORM, `number=%2B1${NUMBER}`],
  [FORM, `key=${NUMBER}%zz`],
  [FORM, `key=${NUMBER}&${'a&'.repeat(20)}`],
  [`${FORM}; charset=x${NUMBER}`, `key=${NUMBER}`],
  [FORM, `key=${NUMBER}`, { 'content-encoding': 'br' }],
  ['text/plain', `+1${NUMBER}`],
];

const ROUTES = [
  '/api/v1/message-events/search',
  '/api/v1/fallbacks/00000000-0000-4000-8000-000000000000/retry',
  '/dashboard/login',
  '/dashboard/logout',
];

describe.each(ROUTES)('a body that is refused at %s', (route) => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({ env: withAdminKeys });
  });

  afterAll(async () => {
    await application.close();
  });

  it.each(BODIES)('is in no line of the log and in no answer: %s %s', async (type, body, headers = {}) => {
    const levels = ['log', 'warn', 'error', 'debug'] as const;
    const spies = levels.map((level) => jest.spyOn(application.logs, level));
    const answer = await fetch(application.origin + route, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${ADMIN_KEY}`,
        'sec-fetch-site': 'same-origin',
        'content-type': type,
        ...headers,
      },
      body,
      redirect: 'manual',
    });
    const text = await answer.text();
    expect(answer.status).toBeLessThan(500);
    expect(text).not.toContain(NUMBER);
    // Includes the properties of an error, which a logger may print.
    const logged = inspect(
      spies.map(({ mock }) => mock.calls),
      { depth: 10, showHidden: true },
    );
    expect(logged).not.toContain(NUMBER);
    expect(application.logs.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });
});
