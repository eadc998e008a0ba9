import { html, nothing, type TemplateResult } from './vendor/lit-html.js';
import { courseView } from './course-view.js';
import { errorCodesView, type Meanings } from './error-codes-view.js';
import { moment, problemView } from './format.js';
import { funnelView } from './funnel-view.js';
import type { Overview } from './overview.js';
import { type Range, RANGES } from './ranges.js';
import { type Retry as RetryAction, stuckView } from './stuck-view.js';

export interface OverviewActions {
  readonly meanings: Meanings;
  readonly retry: RetryAction;
  readonly choose: (range: Range) => void;
}

export function overviewView(
  { range: chosen, loaded, problem, retried, tooLate }: Overview,
  { meanings, retry, choose }: OverviewActions,
): TemplateResult {
  return html`
    <fieldset class="ranges">
      <legend>Time</legend>
      ${RANGES.map((range) => rangeView(range, chosen, choose))}
    </fieldset>
    ${loaded === null ? nothing : html`<p class="hint">From ${moment(loaded.statistics.from)} until now.</p>`}
    ${problemView(problem === null ? null : `${problem.replace(/\.?$/, '.')} Retrying automatically.`, loaded?.answeredAt)}
    ${loaded === null && problem === null ? html`<p class="empty">Loading …</p>` : nothing}
    ${
      loaded === null
        ? nothing
        : html`<div class="sections" aria-busy=${loaded.range === chosen ? 'false' : 'true'}>
            ${funnelView(loaded.statistics)} ${courseView(loaded.statistics)}
            ${errorCodesView(loaded.statistics, meanings)}
            ${stuckView(loaded, { retried, tooLate, retry, meanings })}
          </div>`
    }
  `;
}

function rangeView(range: Range, chosen: Range, choose: (range: Range) => void): TemplateResult {
  return html`<label>
    <input
      type="radio"
      name="range"
      ?checked=${range === chosen}
      @change=${() => {
        choose(range);
      }}
    />
    <span>${range.label}</span>
  </label>`;
}
