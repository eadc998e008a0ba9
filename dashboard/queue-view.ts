import { html, nothing, type TemplateResult } from './vendor/lit-html.js';
import type { Queue } from './answers.js';
import { count, duration } from './format.js';

/** Whether the queue needs attention; a short wait is normal. */
export function isQueueStuck({ overdue, exhausted }: Queue): boolean {
  return overdue > 0 || exhausted > 0;
}

export function queueView(queue: Queue): TemplateResult | typeof nothing {
  const { waiting, secondsToDrain, overdue, oldestAgeSeconds, exhausted, pace } = queue;
  return html`
    ${isQueueStuck(queue) ? html`<h3>Queue</h3>` : nothing}
    ${
      overdue === 0
        ? nothing
        : html`<p class="problem">
            ${jobs(overdue)} overdue, the first by ${duration(oldestAgeSeconds)}: no worker takes them, or not
            fast enough, and their SMS wait. ${drain(secondsToDrain)} Run <code>npm run doctor</code> to find
            the cause.
          </p>`
    }
    ${
      exhausted === 0
        ? nothing
        : html`<p class="problem">
            ${jobs(exhausted)} out of attempts: a listener rejected them 25 times. See JobsExhausted in
            <code>docs/runbook.md</code>.
          </p>`
    }
    ${
      waiting === 0 || overdue > 0
        ? nothing
        : html`<p class="hint">
            ${jobs(waiting)} waiting, the first for ${duration(oldestAgeSeconds)}. ${drain(secondsToDrain)}
          </p>`
    }
    ${
      pace.waiting === 0
        ? nothing
        : html`<p class="hint">
            ${count(pace.waiting)} SMS ${pace.waiting === 1 ? 'waits' : 'wait'} for the pace of their sender.
            At the current rate all are sent in about ${duration(pace.secondsToDrain)}.
          </p>`
    }
  `;
}

function drain(seconds: number | null): string {
  return seconds === null ? '' : `At the present rate workers have taken all in about ${duration(seconds)}.`;
}

/** `1 job`, `2 jobs`. */
function jobs(value: number): string {
  return `${count(value)} ${value === 1 ? 'job' : 'jobs'}`;
}
