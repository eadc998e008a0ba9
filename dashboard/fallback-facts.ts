import { html, nothing, type TemplateResult } from './vendor/lit-html.js';
import type { EarlierAttempt, Fallback } from './answers.js';
import { codeView, type Meanings } from './error-codes-view.js';
import { count, duration, journeyLink, moment } from './format.js';
import { serviceClock } from './service-clock.js';

/** Renders what state and reason do not say: earlier attempts, the size of the SMS, and what it lacks. */
export function fallbackFacts(fallback: Fallback, meanings: Meanings): TemplateResult {
  const { earlierAttempts, notCarriedOver, duplicateOf, originalSentAt, reason, retriedBy } = fallback;
  return html`
    ${earlierAttempts.map((attempt) => attemptView(attempt, meanings))}
    ${
      duplicateOf === null
        ? nothing
        : html`<p class="hint"><a href=${journeyLink(duplicateOf)}>Journey with the same SMS</a></p>`
    }
    ${
      originalSentAt === null || reason !== 'too_late'
        ? nothing
        : html`<p class="hint">Sent by WhatsApp ${moment(originalSentAt)}, ${ageOf(originalSentAt)} ago.</p>`
    }
    ${
      notCarriedOver.length === 0
        ? nothing
        : html`<p class="hint">Left out of the SMS: ${notCarriedOver.join(', ')}.</p>`
    }
    ${sizeView(fallback)}
    ${retriedBy === null ? nothing : html`<p class="hint">Tried again by ${retriedBy}${retriedAtView(fallback)}.</p>`}
  `;
}

/** How long ago a time is, by the service's clock. */
export function ageOf(iso: string): string {
  return duration(Math.max(0, serviceClock.now() - Date.parse(iso)) / 1000);
}

function attemptView(
  { at, from, messagingServiceSid, outcome, code, smsMessageSid }: EarlierAttempt,
  meanings: Meanings,
): TemplateResult {
  const sid =
    smsMessageSid === null
      ? 'An SMS'
      : html`<a href=${journeyLink(smsMessageSid)}><code>${smsMessageSid}</code></a>`;
  const sender = from ?? messagingServiceSid ?? 'a sender';
  const words = outcome === 'never_sent' ? html`${sid} was never sent:` : html`${sender} was refused:`;
  return html`<p class="hint">${moment(at)} ${words} ${codeView(code)} ${meanings.get(code) ?? ''}</p>`;
}

function retriedAtView({ retriedAt }: Fallback): TemplateResult | typeof nothing {
  return retriedAt === null ? nothing : html`, ${moment(retriedAt)}`;
}

function sizeView({ segments, encoding }: Fallback): TemplateResult | typeof nothing {
  if (segments === null) return nothing;
  const parts = `${count(segments)} ${segments === 1 ? 'segment' : 'segments'}`;
  return html`<p class="hint">${parts}${encoding === null ? '' : `, ${encoding}`}</p>`;
}
