import { repeat } from './vendor/directives/repeat.js';
import { html, nothing, type TemplateResult } from './vendor/lit-html.js';
import { capitalized, journeyLink, moment, problemView } from './format.js';
import type { Found, Search } from './search.js';

export interface SearchActions {
  readonly submit: (text: string) => void;
  readonly clear: () => void;
}

export function searchView(search: Search, { submit, clear }: SearchActions): TemplateResult {
  const onSubmit = (event: SubmitEvent): void => {
    event.preventDefault();
    const field = document.querySelector<HTMLInputElement>('#search-field');
    submit(field?.value.trim() ?? '');
  };
  return html`
    <search>
      <form class="search" @submit=${onSubmit}>
        <label for="search-field">Find a message</label>
        <input
          id="search-field"
          type="search"
          required
          autocomplete="off"
          spellcheck="false"
          maxlength="160"
          aria-describedby="search-hint"
        />
        <button class="primary">Search</button>
        <p class="hint" id="search-hint">
          By its SID, e.g. SM…, or by the person's telephone number, e.g. +15551234567, or WhatsApp user ID,
          e.g. US.13491208655302741918.
        </p>
      </form>
    </search>
    ${problemView(search.problem)}
    ${search.found === null ? nothing : foundView(search.found, search.hasMore, clear)}
  `;
}

function foundView(found: readonly Found[], hasMore: boolean, clear: () => void): TemplateResult {
  return html`
    <section aria-labelledby="found-heading">
      <div class="heading">
        <h2 id="found-heading" tabindex="-1">Messages to this person</h2>
        <button type="button" @click=${clear}>Close</button>
      </div>
      ${
        found.length === 0
          ? html`<p class="empty">No messages found. Give a number with its country, as in +15551234567.</p>`
          : html`<ul class="found">
              ${repeat(found, ({ messageSid }) => messageSid, row)}
            </ul>`
      }
      ${hasMore ? html`<p class="hint">From the newest 100 events; the API has the rest.</p>` : nothing}
    </section>
  `;
}

function row({ messageSid, newest: { channel, status, errorCode, createdAt } }: Found): TemplateResult {
  return html`<li>
    <a href=${journeyLink(messageSid)}><code>${messageSid}</code></a>
    <span>${capitalized(channel)}, ${status}${errorCode === null ? '' : ` (${errorCode})`}</span>
    ${moment(createdAt)}
  </li>`;
}
