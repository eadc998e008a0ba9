import { describe, expect, it } from '@jest/globals';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { envSchema } from '../src/config/env.js';

const root = fileURLToPath(new URL('..', import.meta.url));

function filesIn(folder: string, ending: RegExp): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => ending.test(name))
    .map((name) => join(folder, name));
}

const pages = [...readdirSync(root).filter((name) => name.endsWith('.md')), ...filesIn('docs', /\.md$/)];

/** Files outside the pages that name a page and a section of it. */
const sources = [
  '.env.example',
  ...filesIn('deploy', /\.(yml|conf)$/),
  ...filesIn('src', /\.ts$/),
  ...filesIn('dashboard', /\.ts$/),
];

const read = (file: string) => readFileSync(join(root, file), 'utf8');

/** A page without its code, because links and headings in code do not count. */
const prose = (page: string) => read(page).replace(/^ *```.*?^ *```$/gms, '');

/** The anchors of a page's headings, as GitHub generates them. */
function anchorsOf(page: string): Set<string> {
  return new Set([...prose(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchorOf(heading)));
}

function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

function linksOf(page: string): string[] {
  const text = prose(page);
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g), ...text.matchAll(/ src="([^"]+)"/g)];
  return links.map(([, target = '']) => target).filter((target) => !/^https?:/.test(target));
}

function isThere(page: string, link: string): boolean {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? page : join(dirname(page), path);
  if (!existsSync(join(root, target))) return false;
  return anchor === undefined || (target.endsWith('.md') && anchorsOf(target).has(anchor));
}

describe('the documentation', () => {
  it('links to files and headings that exist', () => {
    const links = pages.flatMap((page) => linksOf(page).map((link) => ({ page, link })));
    expect(links.length).toBeGreaterThan(100);
    expect(links.filter(({ page, link }) => !isThere(page, link))).toEqual([]);
  });

  it('has every section that messages, settings, and alerts refer to', () => {
    const references = sources.flatMap((file) =>
      (read(file).match(/docs\/[a-z-]+\.md(#[a-z0-9-]+)?/g) ?? []).map((link) => ({ file, link })),
    );
    expect(references.length).toBeGreaterThan(20);
    expect(references.filter(({ link }) => !isThere('README.md', link))).toEqual([]);
  });

  it('shows the test of an extension as it runs', () => {
    const [, example = ''] =
      read('docs/extending.md')
        .split('## Test your extension')[1]
        ?.split(/^```.*$/m) ?? [];
    const spec = read('test/testing/extension.spec.ts')
      .replace('../../src/whatsapp-sms-fallback.module.js', 'whatsapp-sms-fallback')
      .replace('../../testing/index.js', 'whatsapp-sms-fallback/testing');
    const words = (code: string) => code.split(/[\s,]+/).filter(Boolean);
    expect(words(example)).toEqual(words(spec));
  });

  it('keeps the README at 150 lines or fewer', () => {
    expect(read('README.md').trimEnd().split('\n').length).toBeLessThanOrEqual(150);
  });

  it('describes every environment variable once in docs/configuration.md', () => {
    const described = [...read('docs/configuration.md').matchAll(/^\| `([A-Z_]+)` /gm)].map(
      ([, name]) => name,
    );
    expect(described.toSorted()).toEqual(Object.keys(envSchema.shape).toSorted());
  });

  it('gives a remedy for every reason of a fallback', () => {
    const [types = ''] = read('src/fallback/fallback-reasons.ts').split('const MEANINGS');
    const reasons = types.match(/(?<=')[a-z_]+(?=')/g) ?? [];
    expect(reasons.length).toBeGreaterThan(15);
    const [, table = ''] = read('docs/troubleshooting.md').split('## The SMS is not sent');
    const described = new Set([...table.matchAll(/^\| [^|]+\| `([a-z_]+)` /gm)].map(([, reason]) => reason));
    expect(reasons.filter((reason) => !described.has(reason))).toEqual([]);
  });

  it('gives every decision a number, a status, and a date', () => {
    for (const page of filesIn('docs/adr', /\.md$/)) {
      const number = Number(/\/(\d{4})-/.exec(page)?.[1]);
      expect(read(page)).toMatch(
        new RegExp(
          `^# ${number}\\. .+\\n\\n\\*\\*Status\\.\\*\\* (Accepted|Superseded).* on \\d{4}-\\d\\d-\\d\\d`,
        ),
      );
    }
  });
});
