import { availableParallelism } from 'node:os';
import { bundledModules } from './test/support/bundled-modules.mjs';

/** Native ESM: `npm test` runs Jest with --experimental-vm-modules. */
export default {
  testEnvironment: '<rootDir>/test/support/environment.mjs',
  globalSetup: '<rootDir>/test/support/global-setup.mjs',
  globalTeardown: '<rootDir>/test/support/global-teardown.mjs',
  // Specs wait more than they compute: for databases, processes and time-outs. Jest would leave a core idle.
  maxWorkers: availableParallelism() + 1,
  // What a spec has loaded stays in memory where it is native ESM; collecting garbage amid that takes as long as the specs.
  workerIdleMemoryLimit: '300MB',
  // Libraries need it in place, and those in bundles do not load it in time.
  setupFiles: ['reflect-metadata'],
  testMatch: ['<rootDir>/test/**/*.spec.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  // A library may have a module that is named .json.js.
  moduleNameMapper: {
    '^(\\.{1,2}/.*)(?<!\\.json)\\.js$': '$1',
    ...bundledModules,
    '^@electric-sql/pglite(-socket)?$': '<rootDir>/test/support/shared-pglite.mjs',
  },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2023',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
        },
        module: { type: 'es6' },
      },
    ],
  },
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
  // A suite starts a database and an application; the time is a limit for a hang, not a measurement.
  testTimeout: 120_000,
};
