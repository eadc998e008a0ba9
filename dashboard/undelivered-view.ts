import { repeat } from './vendor/directives/repeat.js';
import { html, nothing, type TemplateResult } from './vendor/lit-html.js';
import type { Fallback, Newest } from './answers.js';
import { codeView, type Meanings } from './error-codes-view.js';
import { journeyLink, moment } from './format.js';

/** The fallbacks whose SMS was sent and not delivered. Trying again would be a second SMS, so there is no button for it. */
export function undeliveredView(
  { items, nextCursor }: Newest<Fallback>,
  time: string,
  meanings: Meanings,
): TemplateResult | typeof nothing {
  if (items.length === 0) return nothing;
  return html`
    <h3>SMS not delivered, ${time}</h3>
    <ul class="cards">
      ${repeat(
        items,
        ({ id }) => id,
        (fallback) => card(fallback, meanings),
      )}
    </ul>
    ${
      nextCursor === null
        ? nothing
        : html`<p class="hint">
            These are the newest. The API lists all: <code>/api/v1/fallbacks?undelivered=true</code>.
          </p>`
    }
  `;
}

function card(
  { originalMessageSid, to, smsErrorCode, duplicateDeliveryAt, erasedAt, createdAt }: Fallback,
  meanings: Meanings,
): TemplateResult {
  return html`
    <li>
      <p>
        ${moment(createdAt)}
        <span class="hint">to ${erasedAt === null ? (to ?? 'nobody') : 'a number that is erased'}</span>
      </p>
      <p>
        ${duplicateDeliveryAt === null ? 'The person got neither.' : 'WhatsApp delivered the message after all.'}
        ${smsErrorCode === null ? nothing : html`${codeView(smsErrorCode)}: ${meanings.get(smsErrorCode) ?? ''}`}
      </p>
      <p class="actions">
        <a href=${journeyLink(originalMessageSid)} aria-label="Journey of ${originalMessageSid}">Journey</a>
      </p>
    </li>
  `;
}
