import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/**
 * Libraries of hundreds of modules each. Jest loads all modules again for each spec, which takes longer than most
 * specs. A bundle loads in a tenth of the time.
 */
const LIBRARIES = [
  '@nestjs/common',
  '@nestjs/core',
  '@nestjs/event-emitter',
  '@nestjs/platform-express',
  '@nestjs/swagger',
  '@nestjs/testing',
  '@nestjs/typeorm',
  'express',
  'fast-check',
  'rxjs',
  'typeorm',
  'zod',
];

/** Modules that the libraries load only if installed, and `pg`, which specs and libraries must share. */
const EXTERNAL = [
  ...['pg', 'pg-native', 'pg-query-stream'],
  ...['@nestjs/microservices', '@nestjs/websockets', 'class-transformer', 'class-validator', '@fastify/*'],
  ...[
    '@google-cloud/spanner',
    '@sap/hana-client*',
    'better-sqlite3',
    'ioredis',
    'mongodb',
    'mssql',
    'mysql',
    'mysql2',
  ],
  ...[
    'oracledb',
    'react-native-sqlite-storage',
    'redis',
    'sql.js',
    'sqlite3',
    'typeorm-aurora-data-api-driver',
  ],
];

const root = fileURLToPath(new URL('../../', import.meta.url));
const digest = createHash('sha256');
for (const file of ['package-lock.json', 'test/support/bundled-modules.mjs'])
  digest.update(readFileSync(join(root, file)));
// Not next to the database templates, because old ones are removed during a run.
const folder = join(
  root,
  'node_modules/.cache/whatsapp-sms-fallback-modules',
  digest.digest('hex').slice(0, 16),
);

/** Jest's `moduleNameMapper` for the bundles. */
export const bundledModules = { [`^(${LIBRARIES.join('|')})$`]: `${folder}/$1.mjs` };

/** Creates the bundles, unless an earlier run created them from the same lock file. */
export async function bundleModules() {
  if (existsSync(folder)) return;
  const own = `${folder}.${process.pid}`;
  try {
    await build({
      entryPoints: Object.fromEntries(LIBRARIES.map((name) => [name, `library:${name}`])),
      outdir: own,
      outExtension: { '.js': '.mjs' },
      bundle: true,
      splitting: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      external: EXTERNAL,
      ignoreAnnotations: true,
      minifyWhitespace: true,
      banner: {
        js: "import { createRequire as makeRequire } from 'node:module';const require = makeRequire(import.meta.url);",
      },
      plugins: [libraries],
      logLevel: 'error',
    });
    await rename(own, folder).catch((error) => {
      // Another run was faster.
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(own, { recursive: true, force: true });
  }
}

/** Makes each bundle export what Node finds in the library. esbuild alone gives CommonJS only a default export. */
const libraries = {
  name: 'libraries',
  setup(bundler) {
    bundler.onResolve({ filter: /^library:/ }, ({ path }) => ({
      path: path.slice('library:'.length),
      namespace: 'library',
    }));
    bundler.onLoad({ filter: /.*/, namespace: 'library' }, async ({ path }) => ({
      contents: await reexport(path),
      resolveDir: root,
    }));
  },
};

async function reexport(name) {
  const exported = await import(name);
  const names = Object.keys(exported).filter((key) => key !== 'default' && key !== 'module.exports');
  const from = JSON.stringify(name);
  const isCommonJs =
    exported.default !== undefined && names.every((key) => exported.default[key] === exported[key]);
  if (!isCommonJs)
    return `export * from ${from};${'default' in exported ? `export { default } from ${from};` : ''}`;
  const constants = names.map(
    (key, index) => `const n${index} = all[${JSON.stringify(key)}];export { n${index} as ${key} };`,
  );
  return `const all = require(${from});export default all;${constants.join('')}`;
}
