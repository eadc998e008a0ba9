export const { PGLiteSocketServer } = globalThis.sharedModules.pgliteSocket;
