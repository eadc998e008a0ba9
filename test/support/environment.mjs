import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import { TestEnvironment } from 'jest-environment-node';
import { isKept, keepDatabaseOf, loadIntoMemory, PGlite, takeIdleFolder } from './kept-databases.mjs';

/** Lets the specs of a worker share the embedded PostgreSQL, which Jest would load again for each spec. */
export default class Environment extends TestEnvironment {
  async setup() {
    await super.setup();
    this.global.sharedPglite = { PGlite, PGLiteSocketServer };
    this.global.keptDatabases = { isKept, keepDatabaseOf, loadIntoMemory, takeIdleFolder };
  }
}
