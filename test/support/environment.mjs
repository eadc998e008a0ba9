import { TestEnvironment } from 'jest-environment-node';
import * as pglite from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import { readFile } from 'node:fs/promises';

const wasm = new URL('./pglite.wasm', import.meta.resolve('@electric-sql/pglite'));
const pgliteWasmModule = await WebAssembly.compile(await readFile(wasm));

/** Shares the compiled PostgreSQL between all databases of a worker. */
class PGlite extends pglite.PGlite {
  static create(options) {
    return pglite.PGlite.create({ pgliteWasmModule, ...options });
  }
}

/**
 * Node's environment, in which the specs of a worker share the modules of the embedded PostgreSQL. Jest would load and compile
 * them for each spec, which takes several times as long as all else that a spec does first.
 */
export default class Environment extends TestEnvironment {
  async setup() {
    await super.setup();
    this.global.sharedPglite = { PGlite, PGLiteSocketServer };
  }
}
