import { html, nothing, type TemplateResult } from './vendor/lit-html.js';

const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const COUNT = new Intl.NumberFormat('en');

/** A time in the viewer's time zone. */
export function moment(iso: string): TemplateResult {
  return html`<time datetime=${iso}>${MOMENT.format(new Date(iso))}</time>`;
}

export function inFull(milliseconds: number): string {
  return MOMENT.format(milliseconds);
}

export function count(value: number): string {
  return COUNT.format(value);
}

/** `38 %` */
export function share(part: number, whole: number): string {
  return whole === 0 ? '' : `${Math.round((100 * part) / whole)} %`;
}

/** `4.2 s`, `3 min`, `2 h`, on one line. */
export function duration(seconds: number): string {
  if (seconds < 120) return `${seconds.toFixed(1)}\u00a0s`;
  return seconds < 7_200 ? `${Math.round(seconds / 60)}\u00a0min` : `${Math.round(seconds / 3_600)}\u00a0h`;
}

/** A channel or status name in its usual spelling. */
export function capitalized(name: string): string {
  const known: Readonly<Record<string, string>> = { whatsapp: 'WhatsApp', sms: 'SMS', rcs: 'RCS' };
  return known[name] ?? name.charAt(0).toUpperCase() + name.slice(1).replaceAll('_', ' ');
}

/** The link to a journey within this page. */
export function journeyLink(messageSid: string): string {
  return `#/messages/${encodeURIComponent(messageSid)}`;
}

/** @returns the SID that such a link names, or null for any other fragment. */
export function linkedMessage(fragment: string): string | null {
  const [, sid] = /^#\/messages\/(.+)$/.exec(fragment) ?? [];
  if (sid === undefined) return null;
  try {
    return decodeURIComponent(sid);
  } catch {
    // Malformed: the service answers that it knows no such message.
    return sid;
  }
}

/**
 * Shows a problem. As an alert, because the user may not be looking at this part of the page.
 * @param answeredAt the time of the older answer that is still shown; null without one.
 */
export function problemView(
  problem: string | null,
  answeredAt: number | null = null,
): TemplateResult | typeof nothing {
  if (problem === null) return nothing;
  const age = answeredAt === null ? '' : ` What is shown is as of ${inFull(answeredAt)}.`;
  return html`<p class="problem" role="alert">${problem.replace(/\.?$/, '.')}${age}</p>`;
}
