import { moduleScript, pageFrame } from './page-frame.js';

/**
 * The form that asks for a key.
 * @param problem what was wrong with the one before, in words of ours; shown as it is.
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
      <p>What became of each WhatsApp message, and of the SMS in its place.</p>
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
 * For somebody who followed a link on another site, with whom no SameSite=Strict cookie comes along. The page asks for
 * itself once more, and then it does.
 */
export function arrivalPage(): string {
  return pageFrame(
    'Messages',
    moduleScript('arrival.js'),
    '<body class="sign-in"><main><h1>Messages</h1><p><a href="/dashboard?">Go on</a></p></main></body>',
  );
}
