import { html, nothing, type TemplateResult } from './vendor/lit-html.js';
import type { Outage } from './answers.js';
import { count, moment } from './format.js';

/** Shown above everything else: without Twilio, no SMS is sent. */
export function outageView(outages: readonly Outage[]): TemplateResult | typeof nothing {
  if (outages.length === 0) return nothing;
  return html`
    <section class="problem" aria-labelledby="outage-heading">
      <h2 id="outage-heading">Twilio cannot be used</h2>
      <ul>
        ${outages.map(
          ({ accountSid, meaning, remedy, errorCode, operations, since, waiting }) =>
            html`<li>
              <p>
                <strong>${meaning}</strong> Account <code>${accountSid}</code>, since ${moment(since)}, last
                error <code>${errorCode}</code>. ${waitingInWords(operations, waiting)}
              </p>
              <p>${remedy}</p>
            </li>`,
        )}
      </ul>
      <p>See TwilioOutage in <code>docs/runbook.md</code>.</p>
    </section>
  `;
}

/** The text for screen readers; empty while nothing changes. */
export function outageAnnouncement(before: readonly Outage[], now: readonly Outage[]): string {
  if (now.length === 0) return before.length === 0 ? '' : 'Twilio can be used again';
  const isKnown = ({ accountSid, reason }: Outage) =>
    before.some((outage) => outage.accountSid === accountSid && outage.reason === reason);
  const fresh = now.find((outage) => !isKnown(outage));
  return fresh === undefined ? '' : `Twilio cannot be used. ${fresh.meaning}`;
}

function waitingInWords(operations: Outage['operations'], waiting: number): string {
  if (operations.every((operation) => operation === 'templates'))
    return 'SMS are sent without the links of templates.';
  if (waiting === 0) return 'No SMS is waiting.';
  return `${count(waiting)} SMS ${waiting === 1 ? 'waits' : 'wait'}.`;
}
