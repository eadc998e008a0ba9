import { moduleScript, pageFrame } from './page-frame.js';

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
