import { existsSync } from 'node:fs';

const USUAL_PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** @returns the path of a Chromium: what `TEST_CHROMIUM` names, else where packages put one; null where there is none. */
export function findChromium(): string | null {
  const named = process.env.TEST_CHROMIUM;
  return named ?? USUAL_PATHS.find((path) => existsSync(path)) ?? null;
}

/** A container's Chromium can have no sandbox of its own, and this one opens our own page only. */
export const CHROMIUM_OPTIONS = ['--no-sandbox'];
