import { render } from './vendor/lit-html.js';
import type { ErrorCodes, Fallback, Outage } from './answers.js';
import { ask, explain } from './api.js';
import { connectionAnnouncement, connectionView } from './connection-view.js';
import { CourseChart } from './course-chart.js';
import { keepingFocus } from './focus.js';
import { journeyLink, linkedMessage } from './format.js';
import { journeyView } from './journey-view.js';
import { Journeys } from './journeys.js';
import { type Connection, LiveUpdates } from './live-updates.js';
import { outageAnnouncement, outageView } from './outage-view.js';
import { Overview } from './overview.js';
import { overviewView } from './overview-view.js';
import { Pacer } from './pacer.js';
import type { Range } from './ranges.js';
import { asMessageSid, Search } from './search.js';
import { searchView } from './search-view.js';

let connection: Connection = 'connecting';
let meanings: ReadonlyMap<string, string> = new Map();
let chart: CourseChart | null = null;
let outages: readonly Outage[] = [];

const overview = new Overview(draw);
const journeys = new Journeys(draw);
const search = new Search(draw);
const pacer = new Pacer(async (signal) => {
  // First, because this answer also sets the service's clock.
  await loadMeanings(signal);
  await Promise.all([overview.load(signal), journeys.load(signal)]);
});

function element(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`The page has no #${id}`);
  return found;
}

function draw(): void {
  const { loaded } = overview;
  showOutages(loaded?.queue.twilio.outages ?? []);
  render(connectionView(connection, outages.length > 0), element('connection'));
  render(searchView(search, { submit, clear: closeSearch }), element('search'));
  render(journeyView(journeys, { close: closeJourney, meanings }), element('journey'));
  keepingFocus(() => {
    render(overviewView(overview, { meanings, retry, choose }), element('overview'));
  });
  if (loaded === null) return;
  chart ??= new CourseChart(element('course-chart'));
  chart.show(loaded.statistics);
}

function showOutages(now: readonly Outage[]): void {
  const words = outageAnnouncement(outages, now);
  outages = now;
  if (words !== '') announce(words);
  render(outageView(now), element('outages'));
}

function choose(range: Range): void {
  overview.range = range;
  draw();
  pacer.hurry();
}

function submit(text: string): void {
  const sid = asMessageSid(text);
  if (sid !== null) {
    search.clear();
    const target = journeyLink(sid);
    if (location.hash === target) openFromAddress();
    else location.hash = target;
    return;
  }
  // The open journey belongs to the previous search.
  closeOpenJourney();
  void search.byPerson(text).then((outcome) => {
    if (outcome === null) return;
    announce(outcome);
    document.getElementById('found-heading')?.focus();
  });
}

function closeSearch(): void {
  search.clear();
  element('search-field').focus();
}

function closeJourney(): void {
  closeOpenJourney();
  element('search-field').focus();
}

/** Closes at once: `hashchange` fires later. */
function closeOpenJourney(): void {
  if (journeys.sid === null) return;
  journeys.close();
  location.hash = '#/';
}

function openFromAddress(): void {
  const sid = linkedMessage(location.hash);
  if (sid !== null) {
    // Search results of one person must not stand above another person's journey.
    if (!journeys.isAbout(sid) && !search.hasFound(sid)) search.clear();
    void journeys.open(sid).then(() => {
      document.getElementById('journey-heading')?.focus();
    });
  } else if (location.hash !== '#main') {
    // Any fragment but the skip link's.
    journeys.close();
  }
}

function retry(fallback: Fallback, { ignoreAge }: { readonly ignoreAge: boolean }): void {
  void overview.retry(fallback, ignoreAge).then((outcome) => {
    announce(outcome);
    // The button disappears with its card.
    document.getElementById('retried-heading')?.focus();
    pacer.hurry();
  });
}

/** Loads the meanings once. */
async function loadMeanings(signal: AbortSignal): Promise<void> {
  if (meanings.size > 0) return;
  try {
    const { items } = await ask<ErrorCodes>('api/v1/error-codes', { signal });
    meanings = new Map(items.map(({ code, meaning }) => [code, meaning]));
    draw();
  } catch (error) {
    // The overview shows the problem.
    if (!signal.aborted) explain(error);
  }
}

/** Announces a text to screen readers. Changing figures are not announced: they would never stop. */
function announce(text: string): void {
  element('announcement').textContent = text;
}

addEventListener('hashchange', openFromAddress);
draw();
openFromAddress();
pacer.hurry();
new LiveUpdates({
  onConnection: (now) => {
    const words = connectionAnnouncement(connection, now);
    connection = now;
    if (words !== '') announce(words);
    draw();
  },
  onChange: () => {
    pacer.ask();
  },
}).start();
