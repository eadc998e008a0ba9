import { html, type TemplateResult } from './vendor/lit-html.js';
import type { Connection } from './live-updates.js';

const WORDS: Readonly<Record<Connection, string>> = {
  connecting: 'Connecting …',
  live: 'Live',
  database_away: 'Database unreachable; retrying …',
  interrupted: 'Disconnected; reconnecting …',
};

/** @param isTwilioDown the page is live, but shows a problem. */
export function connectionView(connection: Connection, isTwilioDown: boolean): TemplateResult {
  const isDown = isTwilioDown && connection === 'live';
  const words = isDown ? 'Live; Twilio cannot be used' : WORDS[connection];
  return html`<p class="connection ${connection} ${isDown ? 'down' : ''}">${words}</p>`;
}

/** The text for screen readers; empty when the first connection simply succeeds. */
export function connectionAnnouncement(before: Connection, now: Connection): string {
  if (now === before || now === 'connecting') return '';
  if (now === 'live') return before === 'connecting' ? '' : 'The page is live again';
  return WORDS[now];
}
