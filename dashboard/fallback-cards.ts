import { repeat } from './vendor/directives/repeat.js';
import { html, nothing, type TemplateResult } from './vendor/lit-html.js';
import type { Fallback, Newest } from './answers.js';
import { codeView, type Meanings } from './error-codes-view.js';
import { fallbackFacts } from './fallback-facts.js';
import { journeyLink, moment } from './format.js';

/** The contents of a fallback's card. */
export interface Card {
  readonly words: string;
  readonly code: string | null;
  /** Beside the link to the journey. */
  readonly action?: TemplateResult | typeof nothing;
}

/** Renders a heading and a card per fallback; nothing without fallbacks. */
export function fallbackCards(
  heading: string,
  { items, nextCursor }: Newest<Fallback>,
  meanings: Meanings,
  { cardOf, whereMore }: { cardOf: (fallback: Fallback) => Card; whereMore: TemplateResult },
): TemplateResult | typeof nothing {
  if (items.length === 0) return nothing;
  return html`
    <h3>${heading}</h3>
    <ul class="cards">
      ${repeat(
        items,
        ({ id }) => id,
        (fallback) => card(fallback, cardOf(fallback), meanings),
      )}
    </ul>
    ${nextCursor === null ? nothing : html`<p class="hint">These are the newest. ${whereMore}</p>`}
  `;
}

function card(
  fallback: Fallback,
  { words, code, action = nothing }: Card,
  meanings: Meanings,
): TemplateResult {
  const { originalMessageSid, to, userId, erasedAt, createdAt } = fallback;
  const recipient = erasedAt === null ? (to ?? userId ?? 'an unknown number') : 'an erased number';
  return html`
    <li>
      <p>
        ${moment(createdAt)}
        <span class="hint">to ${recipient}</span>
      </p>
      <p>${words} ${code === null ? nothing : html`${codeView(code)}: ${meanings.get(code) ?? ''}`}</p>
      ${fallbackFacts(fallback, meanings)}
      <p class="actions">
        <a href=${journeyLink(originalMessageSid)} aria-label="Journey of ${originalMessageSid}">Journey</a>
        ${action}
      </p>
    </li>
  `;
}
