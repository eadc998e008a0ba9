import { html, nothing, type TemplateResult } from './vendor/lit-html.js';
import type { Funnel, Statistics } from './answers.js';
import { count, duration, share } from './format.js';

export function funnelView({ funnel, timeToSms }: Statistics): TemplateResult {
  return html`
    <section aria-labelledby="funnel-heading">
      <h2 id="funnel-heading">From refusal to SMS</h2>
      ${funnel.policyFailures === 0 ? empty : steps(funnel)} ${timeView(timeToSms)} ${withoutView(funnel)}
    </section>
  `;
}

const empty = html`<p class="empty">
  WhatsApp refused no message in this time with a code that leads to an SMS. If you expected some, choose a
  longer time, or run <code>npm run doctor</code> to check that Twilio's callbacks arrive.
</p>`;

function steps({ policyFailures, smsSent, smsDelivered }: Funnel): TemplateResult {
  return html`
    <ol class="funnel">
      ${step('refused', 'Refused (fallback due)', policyFailures, policyFailures)}
      ${step('sent', 'SMS sent', smsSent, policyFailures)}
      ${step('delivered', 'SMS delivered', smsDelivered, policyFailures)}
    </ol>
    <p class="hint">
      Refused by WhatsApp with one of <code>FALLBACK_ERROR_CODES</code>. Other failures lead to no SMS; they
      are among the error codes.
    </p>
  `;
}

/** The bar is an SVG with attributes, because the page's content security policy forbids inline styles. */
function step(name: string, label: string, value: number, whole: number): TemplateResult {
  return html`
    <li class="step ${name}">
      <span class="label">${label}</span>
      <span class="value"><strong>${count(value)}</strong> <span>${share(value, whole)}</span></span>
      <svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">
        <rect width=${whole === 0 ? 0 : (100 * value) / whole} height="1"></rect>
      </svg>
    </li>
  `;
}

function timeView({ p50, p95 }: Statistics['timeToSms']): TemplateResult | typeof nothing {
  if (p50 === null || p95 === null) return nothing;
  return html`<p class="hint">
    From the callback to the SMS: half of them within ${duration(p50)}, 95 % within ${duration(p95)}.
  </p>`;
}

function withoutView({ open, skipped, failed }: Funnel): TemplateResult | typeof nothing {
  if (open === 0 && skipped.length === 0 && failed.length === 0) return nothing;
  return html`
    <h3>Without an SMS</h3>
    <ul class="reasons">
      ${open === 0 ? nothing : html`<li><strong>${count(open)}</strong> under way</li>`}
      ${skipped.map(({ meaning, count: value }) => reason(value, 'skipped', meaning))}
      ${failed.map(({ meaning, errorCode, count: value }) => {
        return reason(value, errorCode === null ? 'failed' : `failed, ${errorCode}`, meaning);
      })}
    </ul>
  `;
}

function reason(value: number, end: string, meaning: string): TemplateResult {
  return html`<li><strong>${count(value)}</strong> ${end}: ${meaning}</li>`;
}
