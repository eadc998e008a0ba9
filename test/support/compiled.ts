/** The URL of a compiled file, e.g. `src/main.js`. @throws if dist/ is out of date. */
export function compiled(file: string): URL {
  const state = process.env.TEST_DIST ?? 'not checked: global-setup.mjs has not run';
  if (state !== 'new')
    throw new Error(`dist/ is ${state}, but this spec runs programs from it. Run: npm run build`);
  return new URL(`../../dist/${file}`, import.meta.url);
}
