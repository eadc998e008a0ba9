const ASSETS = '/dashboard/assets';

/** @param head and @param body are trusted markup and are not escaped. */
export function pageFrame(title: string, head: string, body: string): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>${title}</title>
    <link rel="icon" type="image/svg+xml" href="${ASSETS}/icon.svg">
    <link rel="stylesheet" href="${ASSETS}/page.css">
    ${head}
  </head>
  ${body}
</html>
`;
}

export function moduleScript(name: string): string {
  return `<script type="module" src="${ASSETS}/${name}"></script>`;
}

export function classicScript(name: string): string {
  return `<script defer src="${ASSETS}/${name}"></script>`;
}

export function stylesheet(name: string): string {
  return `<link rel="stylesheet" href="${ASSETS}/${name}">`;
}

/** Preloads modules, so that the browser does not discover imports one by one. */
export function modulePreloads(names: readonly string[]): string {
  return names.map((name) => `<link rel="modulepreload" href="${ASSETS}/${name}">`).join('\n    ');
}
