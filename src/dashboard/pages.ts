import { LIBRARY_MODULES, MODULES } from './page-assets.js';

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

/** Renders the empty page; its scripts ask the API for the data. */
export function mainPage(): string {
  return pageFrame(
    'Messages',
    [
      stylesheet('vendor/uPlot.min.css'),
      modulePreloads([...MODULES, ...LIBRARY_MODULES]),
      classicScript('vendor/uPlot.iife.min.js'),
      moduleScript('main.js'),
    ].join('\n    '),
    `<body>
    <a class="skip" href="#main">Skip to the content</a>
    <header>
      <h1>Messages</h1>
      <div id="connection"></div>
      <nav aria-label="Service">
        <a href="/api/docs">API</a>
        <form method="post" action="/dashboard/logout"><button>Sign out</button></form>
      </nav>
    </header>
    <main id="main" tabindex="-1">
      <noscript><p class="problem">This page needs JavaScript. Without it, use the API at /api/v1.</p></noscript>
      <div id="outages"></div>
      <div id="search"></div>
      <div id="journey"></div>
      <div id="overview"></div>
    </main>
    <div id="announcement" class="visually-hidden" role="status"></div>
  </body>`,
  );
}

/**
 * Renders the form that asks for a key.
 * @param problem what was wrong with the previous key. A trusted text that is not escaped.
 */
export function signInPage(problem?: string): string {
  const message = problem === undefined ? '' : `<p class="problem" id="problem" role="alert">${problem}</p>`;
  const described = problem === undefined ? '' : ' aria-invalid="true" aria-describedby="problem"';
  return pageFrame(
    'Sign in · Messages',
    moduleScript('sign-in.js'),
    `<body class="sign-in">
    <main>
      <h1>Messages</h1>
      <p>What happened to each WhatsApp message and its fallback SMS.</p>
      <form method="post" action="/dashboard/login">
        <label for="key">Key</label>
        <input id="key" name="key" type="password" required autocomplete="current-password" autofocus${described}>
        <p class="hint">One of <code>ADMIN_API_KEYS</code>. This browser stays signed in for twelve hours.</p>
        ${message}
        <button class="primary">Sign in</button>
      </form>
    </main>
  </body>`,
  );
}

/**
 * A page for users who follow a link from another site, for which browsers withhold SameSite=Strict cookies. It reloads
 * itself, and then the cookie is sent.
 */
export function arrivalPage(): string {
  return pageFrame(
    'Messages',
    moduleScript('arrival.js'),
    '<body class="sign-in"><main><h1>Messages</h1><p><a href="/dashboard?">Go on</a></p></main></body>',
  );
}
