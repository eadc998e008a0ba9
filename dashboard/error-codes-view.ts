import { repeat } from './vendor/directives/repeat.js';
import { html, type TemplateResult } from './vendor/lit-html.js';
import type { Statistics } from './answers.js';
import { capitalized, count } from './format.js';

export type Meanings = ReadonlyMap<string, string>;

export interface RankedCode {
  readonly code: string;
  readonly channel: string;
  readonly count: number;
}

export function errorCodesView(statistics: Statistics, meanings: Meanings): TemplateResult {
  const ranked = rankedCodes(statistics);
  return html`
    <section aria-labelledby="codes-heading">
      <h2 id="codes-heading">Error codes</h2>
      ${ranked.length === 0 ? html`<p class="empty">No message failed in this time.</p>` : table(ranked, meanings)}
    </section>
  `;
}

function table(ranked: readonly RankedCode[], meanings: Meanings): TemplateResult {
  return html`
    <table class="codes">
      <thead>
        <tr>
          <th scope="col">Code</th>
          <th scope="col" class="figure">Count</th>
          <th scope="col">Meaning</th>
        </tr>
      </thead>
      <tbody>
        ${repeat(
          ranked,
          ({ code, channel }) => `${code} ${channel}`,
          ({ code, channel, count: value }) =>
            html`<tr>
              <th scope="row">${codeView(code)} <span class="hint">${capitalized(channel)}</span></th>
              <td class="figure">${count(value)}</td>
              <td>${meanings.get(code) ?? 'Twilio’s page on the code says what it means.'}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  `;
}

/** Links Twilio's page on a code. Network errors have no such page. */
export function codeView(code: string): TemplateResult {
  if (!/^\d+$/.test(code)) return html`<code>${code}</code>`;
  return html`<a href="https://www.twilio.com/docs/api/errors/${code}" rel="noreferrer"
    ><code>${code}</code></a
  >`;
}

/** Ranks error codes by frequency: those reported for messages, and those that rejected an SMS. */
export function rankedCodes({ events, funnel }: Statistics): RankedCode[] {
  const ranked = new Map<string, RankedCode>();
  const add = (code: string | null, channel: string, value: number): void => {
    if (code === null) return;
    const key = `${code} ${channel}`;
    ranked.set(key, { code, channel, count: (ranked.get(key)?.count ?? 0) + value });
  };
  for (const { errorCode, channel, count: value } of events) add(errorCode, channel, value);
  for (const { errorCode, count: value } of funnel.failed) add(errorCode, 'sms', value);
  return [...ranked.values()].sort((one, other) => other.count - one.count);
}
