export const { PGlite, PGLiteSocketServer } = globalThis.sharedPglite;
