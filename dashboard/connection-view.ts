import { html, type TemplateResult } from './vendor/lit-html.js';
import type { Connection } from './live-updates.js';

const WORDS: Readonly<Record<Connection, string>> = {
  connecting: 'Connecting …',
  live: 'Live',
  database_away: 'The database is away; trying again …',
  interrupted: 'Interrupted; connecting again …',
};

/** @param isTwilioDown what the page shows is live then, and still not well. */
export function connectionView(connection: Connection, isTwilioDown: boolean): TemplateResult {
  const isDown = isTwilioDown && connection === 'live';
  const words = isDown ? 'Live; Twilio cannot be used' : WORDS[connection];
  return html`<p class="connection ${connection} ${isDown ? 'down' : ''}">${words}</p>`;
}

/** What a person who does not look is told; nothing when all is as it was meant to be from the begin. */
export function connectionAnnouncement(before: Connection, now: Connection): string {
  if (now === before || now === 'connecting') return '';
  if (now === 'live') return before === 'connecting' ? '' : 'The page is live again';
  return WORDS[now];
}
