export const { PGlite } = globalThis.sharedModules.pglite;
