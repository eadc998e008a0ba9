import { repeat } from './vendor/directives/repeat.js';
import { html, nothing, type TemplateResult } from './vendor/lit-html.js';
import type { CoursePoint, Statistics } from './answers.js';
import { count, moment } from './format.js';
import { currentBucket } from './ranges.js';

const EACH = { minute: 'minute', hour: 'hour', day: 'day (UTC)' } as const;

/** CourseChart draws into `#course-chart`. */
export function courseView(statistics: Statistics): TemplateResult {
  const { bucket, course, funnel } = statistics;
  const summary = `Lines by ${EACH[bucket]}: ${count(funnel.policyFailures)} refused by WhatsApp and due for an SMS, ${count(funnel.smsSent)} SMS sent, ${count(funnel.smsDelivered)} delivered. The last ${EACH[bucket]} is incomplete. The table below has the figures.`;
  return html`
    <section aria-labelledby="course-heading">
      <h2 id="course-heading">Refusals over time</h2>
      <div id="course-chart" class="chart" role="img" aria-label=${summary}></div>
      <details>
        <summary>The same as a table, by ${EACH[bucket]}</summary>
        ${
          course.length === 0
            ? html`<p class="empty">Nothing to count in this time.</p>`
            : tableView(statistics)
        }
      </details>
    </section>
  `;
}

function tableView(statistics: Statistics): TemplateResult {
  const { course } = statistics;
  const current = currentBucket(statistics);
  return html`
    <div class="scroll" role="region" tabindex="0" aria-label="Refusals as a table">
      <table>
        <thead>
          <tr>
            <th scope="col">Begin</th>
            <th scope="col" class="figure">Fallback due</th>
            <th scope="col" class="figure">SMS sent</th>
            <th scope="col" class="figure">Delivered</th>
            <th scope="col" class="figure">Skipped</th>
            <th scope="col" class="figure">Failed</th>
          </tr>
        </thead>
        <tbody>
          ${repeat(
            course.toReversed(),
            ({ at }) => at,
            (point) => row(point, Date.parse(point.at) === current),
          )}
        </tbody>
      </table>
    </div>
  `;
}

function row(
  { at, policyFailures, smsSent, smsDelivered, skipped, failed }: CoursePoint,
  isCurrent: boolean,
): TemplateResult {
  return html`<tr>
    <th scope="row">${moment(at)}${isCurrent ? html` <span class="hint">so far</span>` : nothing}</th>
    ${[policyFailures, smsSent, smsDelivered, skipped, failed].map(
      (value) => html`<td class="figure">${count(value)}</td>`,
    )}
  </tr>`;
}
