import { repeat } from './vendor/directives/repeat.js';
import { html, nothing, type TemplateResult } from './vendor/lit-html.js';
import type { Fallback, Newest } from './answers.js';
import type { Meanings } from './error-codes-view.js';
import { fallbackCards } from './fallback-cards.js';
import { ageOf } from './fallback-facts.js';
import { journeyLink } from './format.js';
import type { Loaded } from './overview.js';
import { isQueueStuck, queueView } from './queue-view.js';
import { undeliveredView } from './undelivered-view.js';

/** @param options `ignoreAge`: send however old the WhatsApp message is. */
export type Retry = (fallback: Fallback, options: { readonly ignoreAge: boolean }) => void;

export interface StuckActions {
  readonly retried: ReadonlyMap<string, string>;
  /** The ids of fallbacks that are too old for a plain retry. */
  readonly tooLate: ReadonlySet<string>;
  readonly retry: Retry;
  readonly meanings: Meanings;
}

export function stuckView(
  { queue, overdue, failed, skipped, undelivered, range }: Loaded,
  actions: StuckActions,
): TemplateResult {
  const time = range.label.toLowerCase();
  const isNothing =
    !isQueueStuck(queue) &&
    queue.twilio.status === 'up' &&
    [overdue, failed, skipped, undelivered].every(({ items }) => items.length === 0);
  return html`
    <section aria-labelledby="stuck-heading">
      <h2 id="stuck-heading">Needs attention</h2>
      ${isNothing ? html`<p class="empty">Nothing is stuck, and no SMS failed, was skipped or was not delivered in this time.</p>` : nothing}
      ${queueView(queue)} ${retriedView(actions.retried)}
      ${group('Overdue: the SMS has been due for 15 minutes', overdue, actions)}
      ${group(`Failed, ${time}`, failed, actions)} ${group(`Skipped, ${time}`, skipped, actions)}
      ${undeliveredView(undelivered, time, actions.meanings)}
    </section>
  `;
}

function group(
  heading: string,
  fallbacks: Newest<Fallback>,
  { retry, tooLate, meanings }: StuckActions,
): TemplateResult | typeof nothing {
  return fallbackCards(heading, fallbacks, meanings, {
    cardOf: (fallback) => ({
      words: fallback.meaning,
      code: fallback.errorCode,
      action: fallback.isRetryable ? retryButtons(fallback, tooLate, retry) : nothing,
    }),
    whereMore: html`<code>npm run fallbacks</code> lists all, and can retry many at once.`,
  });
}

/** The result stays when the card disappears because the fallback is under way again. */
function retriedView(retried: StuckActions['retried']): TemplateResult | typeof nothing {
  if (retried.size === 0) return nothing;
  return html`
    <h3 id="retried-heading" tabindex="-1">Tried again</h3>
    <ul class="found">
      ${repeat(
        retried,
        ([sid]) => sid,
        ([sid, outcome]) =>
          html`<li>
            <a href=${journeyLink(sid)}><code>${sid}</code></a> <span>${outcome}</span>
          </li>`,
      )}
    </ul>
  `;
}

/** Buttons for a fallback that can be retried, which it cannot after an opt-out, for example. */
function retryButtons(fallback: Fallback, tooLate: ReadonlySet<string>, retry: Retry): TemplateResult {
  const isTooLate = fallback.reason === 'too_late' || tooLate.has(fallback.id);
  return html`
    ${button('Try again', fallback, () => {
      retry(fallback, { ignoreAge: false });
    })}
    ${
      isTooLate
        ? button('Send anyway', fallback, () => {
            if (confirm(lateQuestion(fallback))) retry(fallback, { ignoreAge: true });
          })
        : nothing
    }
  `;
}

function button(label: string, { originalMessageSid }: Fallback, onClick: () => void): TemplateResult {
  return html`
    <button type="button" aria-label="${label}: ${originalMessageSid}" @click=${onClick}>${label}</button>
  `;
}

function lateQuestion({ originalSentAt, createdAt }: Fallback): string {
  const age = ageOf(originalSentAt ?? createdAt);
  return `The WhatsApp message is ${age} old. Its text may be outdated. Send the SMS anyway?`;
}
