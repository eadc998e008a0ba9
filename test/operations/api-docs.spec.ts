import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TestApplication } from '../support/application.js';
import { callApi, withAdminKeys } from './api.js';

interface OpenApi {
  paths: Record<
    string,
    Record<
      string,
      { parameters?: { name: string }[]; requestBody?: unknown; responses: Record<string, unknown> }
    >
  >;
}

describe('the description of the API', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({ env: withAdminKeys });
  });

  afterAll(async () => {
    await application.close();
  });

  it('has each route with its parameters and its answer, and no route of another module', async () => {
    const { body } = await callApi<OpenApi>(application, '/api/docs-json');
    expect(Object.keys(body.paths).toSorted()).toEqual([
      '/api/v1/error-codes',
      '/api/v1/fallbacks',
      '/api/v1/fallbacks/{id}',
      '/api/v1/fallbacks/{id}/retry',
      '/api/v1/message-events',
      '/api/v1/message-events/search',
      '/api/v1/messages/{sid}',
      '/api/v1/queue',
      '/api/v1/rejected-callbacks',
      '/api/v1/stats',
    ]);
    for (const methods of Object.values(body.paths)) {
      for (const { responses } of Object.values(methods)) {
        const [success] = Object.entries(responses).filter(([status]) => status.startsWith('2'));
        expect(JSON.stringify(success)).toMatch(/"properties":\{"/);
        expect(Object.keys(responses)).toEqual(expect.arrayContaining(['400', '401', '429']));
      }
    }
    const list = body.paths['/api/v1/rejected-callbacks']?.get;
    expect(list?.parameters?.map(({ name }) => name).toSorted()).toEqual(['cursor', 'limit', 'numbers']);
    const search = body.paths['/api/v1/message-events/search']?.post;
    expect(JSON.stringify(search?.requestBody)).toMatch(/"properties":\{.*"number":/);
  });

  it('is a page whose scripts and styles come from the service itself', async () => {
    const { text, headers } = await callApi(application, '/api/docs');
    expect(headers.get('content-type')).toContain('text/html');
    const scripts = [...text.matchAll(/<script([^>]*)>([^<]*)</g)];
    expect(scripts.length).toBeGreaterThan(0);
    for (const [, attributes = '', content = ''] of scripts) {
      expect(content.trim()).toBe('');
      const [, source = ''] = /src="\.?([^"]*)"/.exec(attributes) ?? [];
      const script = await callApi(application, `/api${source}`);
      expect(script).toMatchObject({ status: 200 });
      expect(script.headers.get('content-type')).toContain('javascript');
    }
    expect(text).not.toMatch(/(src|href)="(https?:)?\/\//);
  });
});
