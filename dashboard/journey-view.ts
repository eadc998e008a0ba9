import { repeat } from './vendor/directives/repeat.js';
import { html, nothing, type TemplateResult } from './vendor/lit-html.js';
import type { Journey, Leg, StoredEvent } from './answers.js';
import { codeView, type Meanings } from './error-codes-view.js';
import { fallbackFacts } from './fallback-facts.js';
import { capitalized, duration, journeyLink, moment, problemView } from './format.js';
import type { Journeys } from './journeys.js';

export interface JourneyActions {
  readonly close: () => void;
  readonly meanings: Meanings;
}

export function journeyView(journeys: Journeys, actions: JourneyActions): TemplateResult | typeof nothing {
  const { sid, journey, problem, answeredAt } = journeys;
  if (sid === null) return nothing;
  return html`
    <section class="journey" aria-labelledby="journey-heading">
      <div class="heading">
        <h2 id="journey-heading" tabindex="-1">Journey of <code>${journey?.messageSid ?? sid}</code></h2>
        <button type="button" @click=${actions.close}>Close</button>
      </div>
      ${problemView(problem, answeredAt)}
      ${journey === null && problem === null ? html`<p class="empty">Loading …</p>` : nothing}
      ${journey === null ? nothing : timeline(journey, journeys, actions)}
    </section>
  `;
}

function timeline(journey: Journey, journeys: Journeys, { meanings }: JourneyActions): TemplateResult {
  const isSms = journey.role === 'fallback_sms';
  const [original, sms] = isSms ? [journey.counterpart, journey] : [journey, journey.counterpart];
  const begin = Date.parse(original?.events[0]?.createdAt ?? sms?.events[0]?.createdAt ?? '');
  const leg = (title: string, part: Leg) =>
    html`<li class="leg">
      ${legView(title, part, journey, (event) => eventView(event, begin, journeys, meanings))}
    </li>`;
  return html`
    <p>
      <button
        type="button"
        aria-pressed=${journeys.showsNumbers ? 'true' : 'false'}
        aria-describedby="numbers-hint"
        @click=${() => void journeys.toggleNumbers()}
      >
        Show numbers
      </button>
      <span class="hint" id="numbers-hint">Shows whole phone numbers; the log records this.</span>
    </p>
    <ol class="timeline">
      ${original === null ? nothing : leg(original.channel === null ? 'Message' : capitalized(original.channel), original)}
      <li class="decision">
        <h3>Decision</h3>
        <p>${journey.decision}</p>
        ${journey.fallback === null ? nothing : fallbackFacts(journey.fallback, meanings)}
      </li>
      ${sms === null ? nothing : leg('SMS in its place', sms)}
    </ol>
  `;
}

function legView(
  title: string,
  { messageSid, currentStatus, events }: Leg,
  journey: Journey,
  event: (event: StoredEvent) => TemplateResult,
): TemplateResult {
  const isOpen = messageSid === journey.messageSid;
  return html`
    <h3>${title}: ${currentStatus ?? 'nothing reported yet'}</h3>
    <p>
      ${
        isOpen
          ? html`<code>${messageSid}</code>`
          : html`<a href=${journeyLink(messageSid)}><code>${messageSid}</code></a>`
      }
    </p>
    ${
      events.length === 0
        ? html`<p class="empty">No status was reported for this message.</p>`
        : html`<ol class="events">
            ${repeat(events, ({ id }) => id, event)}
          </ol>`
    }
  `;
}

function eventView(
  event: StoredEvent,
  begin: number,
  journeys: Journeys,
  meanings: Meanings,
): TemplateResult {
  const { status, errorCode, source, createdAt } = event;
  const { from, to, userId } = journeys.numbersOf(event);
  const seconds = (Date.parse(createdAt) - begin) / 1000;
  return html`<li class="event ${/^(failed|undelivered)$/.test(status) ? 'bad' : ''}">
    <p>
      <strong>${status}</strong>
      ${errorCode === null ? nothing : html`${codeView(errorCode)}: ${meanings.get(errorCode) ?? ''}`}
    </p>
    <p class="hint">
      ${moment(createdAt)}${seconds > 0 ? `, ${duration(seconds)} after the first` : ''} ·
      ${from ?? 'unknown'} →
      ${to ?? userId ?? 'unknown'}${source === 'poll' ? ' · polled: the callback never came' : ''}
    </p>
  </li>`;
}
