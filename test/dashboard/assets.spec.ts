import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readdirSync } from 'node:fs';
import { PageAssets } from '../../src/dashboard/page-assets.js';
import { withAdminKeys } from '../operations/api.js';
import { TestApplication } from '../support/application.js';
import { get, signIn } from './visitor.js';

const FOLDER = '/dashboard/assets/';

/** Everything that a browser loads before it shows the page, compressed. */
const WEIGHT_LIMIT_BYTES = 60_000;

const names = new PageAssets().names;

describe('the files of the page', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({ env: withAdminKeys });
  });

  afterAll(async () => {
    await application.close();
  });

  it('are everything in dashboard/ except its types', () => {
    const source = readdirSync(new URL('../../dashboard', import.meta.url)).filter(
      (name) => /\.(ts|css|svg)$/.test(name) && name !== 'answers.ts',
    );
    const own = names.filter((name) => !name.startsWith('vendor/'));
    expect(own.toSorted()).toEqual(source.map((name) => name.replace(/\.ts$/, '.js')).toSorted());
  });

  it('come from the service itself and are small', async () => {
    const page = await (await get(application, '/dashboard', { Cookie: await signIn(application) })).text();
    expect(page).not.toMatch(/(src|href)="(https?:)?\/\//);
    expect(page).not.toMatch(/<style|style="|<script>|\son\w+="/);
    const referred = new Set(
      [...page.matchAll(/"dashboard\/assets\/([^"]+)"/g)].map(([, name = '']) => name),
    );
    expect(referred.size).toBeGreaterThan(30);
    let weight = page.length;
    for (const name of referred) {
      const { status, headers } = await fetch(application.origin + FOLDER + name, { method: 'HEAD' });
      expect(status).toBe(200);
      weight += Number(headers.get('content-length'));
    }
    expect(weight).toBeLessThan(WEIGHT_LIMIT_BYTES);
    // The page preloads every imported module, so that the browser waits for none.
    const modules = [...referred].filter((name) => name.endsWith('.js'));
    for (const name of modules) {
      const text = await (await get(application, FOLDER + name)).text();
      for (const [, specifier = ''] of text.matchAll(/from ?['"]([^'"]+)['"]/g)) {
        expect(specifier).toMatch(/^\.\.?\//);
        expect(modules).toContain(new URL(specifier, `file:///${name}`).pathname.slice(1));
      }
    }
  });

  it.each(names)('%s has its type and is not sent again while it is unchanged', async (name) => {
    const answer = await get(application, FOLDER + name);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toMatch(/^(text\/javascript|text\/css|image\/svg\+xml)/);
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect((await answer.text()).length).toBeGreaterThan(50);
    const etag = answer.headers.get('etag') ?? '';
    const again = await fetch(application.origin + FOLDER + name, {
      headers: { 'If-None-Match': etag, 'Cache-Control': 'max-age=0' },
    });
    expect(again.status).toBe(304);
    expect(
      (
        await fetch(application.origin + FOLDER + name, { headers: { 'Accept-Encoding': 'identity' } })
      ).headers.get('content-encoding'),
    ).toBeNull();
  });

  it.each([
    '',
    'page-assets.js',
    '../main.js',
    '%2e%2e/main.js',
    'vendor/',
    'tsconfig.json',
    'vendor/uPlot.esm.js',
  ])('do not include %s', async (name) => {
    expect((await get(application, FOLDER + name)).status).toBe(404);
  });
});
