import { existsSync } from 'node:fs';

const USUAL_PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** @returns the path of a Chromium: `TEST_CHROMIUM`, else the usual path of packages; null if there is none. */
export function findChromium(): string | null {
  const named = process.env.TEST_CHROMIUM;
  return named ?? USUAL_PATHS.find((path) => existsSync(path)) ?? null;
}

/** Chromium cannot use its sandbox in a container, and here it opens only our own page. */
export const CHROMIUM_OPTIONS = ['--no-sandbox'];
