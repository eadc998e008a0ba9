import { LIBRARY_MODULES, MODULES } from './page-assets.js';
import { classicScript, modulePreloads, moduleScript, pageFrame, stylesheet } from './page-frame.js';

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
