import { Injectable } from '@nestjs/common';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

/** Where `npm run build` puts dashboard/. Jest runs src/ directly, and the compiled page is then in dist/. */
const BUILT = ['../../dashboard/', '../../dist/dashboard/'].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
);

/** The page's own modules; `main.js` is the entry. answers.ts is absent because it has types only. */
export const MODULES = [
  'api.js',
  'connection-view.js',
  'course-chart.js',
  'course-view.js',
  'error-codes-view.js',
  'fallback-cards.js',
  'fallback-facts.js',
  'focus.js',
  'format.js',
  'funnel-view.js',
  'journey-view.js',
  'journeys.js',
  'live-updates.js',
  'main.js',
  'outage-view.js',
  'overview-view.js',
  'overview.js',
  'pacer.js',
  'queue-view.js',
  'ranges.js',
  'search-view.js',
  'search.js',
  'service-clock.js',
  'session.js',
  'so-far-mark.js',
  'stuck-view.js',
  'undelivered-view.js',
] as const;

/** lit-html's modules import each other by relative URL, so they keep their package layout. */
export const LIBRARY_MODULES = [
  'vendor/lit-html.js',
  'vendor/directive.js',
  'vendor/directive-helpers.js',
  'vendor/directives/repeat.js',
] as const;

const OWN_FILES = [...MODULES, 'arrival.js', 'sign-in.js', 'page.css', 'icon.svg'] as const;

/** Library files by the name under which each is served. */
const LIBRARY_FILES = {
  'vendor/lit-html.js': 'lit-html/lit-html.js',
  'vendor/directive.js': 'lit-html/directive.js',
  'vendor/directive-helpers.js': 'lit-html/directive-helpers.js',
  'vendor/directives/repeat.js': 'lit-html/directives/repeat.js',
  'vendor/uPlot.iife.min.js': 'uplot/dist/uPlot.iife.min.js',
  'vendor/uPlot.min.css': 'uplot/dist/uPlot.min.css',
} as const;

const TYPES: Readonly<Record<string, string>> = {
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
};

export interface Asset {
  readonly type: string;
  readonly content: Buffer;
  readonly gzipped: Buffer;
}

/** Serves a closed list of page files; each is read on its first request. */
@Injectable()
export class PageAssets {
  private loaded: ReadonlyMap<string, Asset> | undefined;

  /** @param name as the page refers to it, e.g. `vendor/lit-html.js`. */
  find(name: string): Asset | undefined {
    this.loaded ??= load();
    return this.loaded.get(name);
  }

  get names(): readonly string[] {
    return [...OWN_FILES, ...Object.keys(LIBRARY_FILES)];
  }
}

function load(): ReadonlyMap<string, Asset> {
  const folder = BUILT.find((path) => existsSync(join(path, 'main.js')));
  if (folder === undefined) throw new Error('The page is not built: npm run build');
  const files: (readonly [name: string, path: string])[] = [
    ...OWN_FILES.map((name) => [name, join(folder, name)] as const),
    ...Object.entries(LIBRARY_FILES).map(([name, path]) => [name, libraryFile(path)] as const),
  ];
  return new Map(files.map(([name, path]) => [name, asset(name, readFileSync(path))]));
}

function asset(name: string, content: Buffer): Asset {
  const type = TYPES[name.slice(name.lastIndexOf('.') + 1)] ?? 'application/octet-stream';
  return { type, content, gzipped: gzipSync(content, { level: 9 }) };
}

/** Searches node_modules as Node does. Node's own resolution would pick lit-html's server build. */
function libraryFile(path: string): string {
  const [name = ''] = path.split('/');
  const folders = createRequire(import.meta.url).resolve.paths(name) ?? [];
  const file = folders.map((folder) => join(folder, path)).find((candidate) => existsSync(candidate));
  if (file === undefined) throw new Error(`${path} is not installed: npm ci`);
  return file;
}
