import { invalidDate } from './api-errors.js';
import type { ApiError } from './api-errors.js';
import type { ApiRequest } from './api-request.js';
import { firstValue, formatForm } from './form-parameters.js';
import type { FormParameters } from './form-parameters.js';
import { hidesNumbers, messageResource } from './message-resource.js';
import type { Redaction } from './message-resource.js';
import type { SimulatedMessage } from './message.js';

type MessageFilter = (message: SimulatedMessage) => boolean;

const second = 1000;
const day = 24 * 60 * 60 * second;

/**
 * The answer to GET Messages, in the shape of Twilio's OpenAPI document.
 * @param messages the account's, newest first
 */
export function messageList(
  messages: Iterable<SimulatedMessage>,
  request: ApiRequest,
  redaction: Redaction = 'none',
) {
  const { parameters, path } = request;
  const filter = readFilter(parameters, redaction);
  if (typeof filter !== 'function') return { error: filter };
  const pageSize = Math.min(Math.max(wholeNumber(parameters, 'PageSize', 50), 1), 1000);
  const page = wholeNumber(parameters, 'Page', 0);
  // One extra message shows whether there is another page.
  const found = take(messages, filter, pageSize + 1, firstValue(parameters, 'PageToken'));
  const listed = found.slice(0, pageSize);
  const kept = Object.fromEntries(Object.entries(parameters).filter(([name]) => name !== 'PageToken'));
  const uri = (number: number, token: FormParameters): string =>
    `${path}?${formatForm({ ...kept, PageSize: String(pageSize), Page: String(number), ...token })}`;
  return {
    list: {
      end: Math.max(0, page * pageSize + listed.length - 1),
      first_page_uri: uri(0, {}),
      messages: listed.map((message) => messageResource(message, redaction)),
      next_page_uri:
        found.length > pageSize ? uri(page + 1, { PageToken: `PA${listed.at(-1)?.sid ?? ''}` }) : null,
      page,
      page_size: pageSize,
      previous_page_uri: null,
      start: page * pageSize,
      uri: `${path}?${formatForm(parameters)}`,
    },
  };
}

/**
 * Finds the first matching messages without reading more than necessary.
 * @param token a page starts after a message, not at a number, so a message that arrives between two requests does not
 * shift pages.
 */
function take(
  messages: Iterable<SimulatedMessage>,
  filter: MessageFilter,
  most: number,
  token: string | undefined,
): SimulatedMessage[] {
  const found: SimulatedMessage[] = [];
  let hasBegun = token === undefined;
  for (const message of messages) {
    if (!filter(message)) continue;
    if (hasBegun) found.push(message);
    else hasBegun = token === `PA${message.sid}`;
    if (found.length === most) break;
  }
  return found;
}

/** `To` finds nothing once numbers are hidden. Twilio does not document that; it is the harder case for a client. */
function readFilter(parameters: FormParameters, redaction: Redaction): MessageFilter | ApiError {
  const to = firstValue(parameters, 'To');
  const from = firstValue(parameters, 'From');
  const sent = readSentRange(parameters);
  if (sent === undefined) return invalidDate;
  return (message) =>
    (to === undefined || (message.to === to && !hidesNumbers(redaction))) &&
    (from === undefined || message.from === from) &&
    (sent === 'any' || (message.dateSent !== undefined && isWithin(message.dateSent, sent)));
}

interface Range {
  readonly from: number;
  /** Exclusive. */
  readonly until: number;
}

/**
 * `DateSent`, `DateSent<` and `DateSent>`: on that day (GMT); on or before; on or after. A bare date means the whole
 * day, a date with a time that second: Twilio compares both. A message that has not been sent yet passes none of them.
 * That is not documented; it is the harder case for a client.
 */
function readSentRange(parameters: FormParameters): Range | 'any' | undefined {
  const on = firstValue(parameters, 'DateSent');
  const before = firstValue(parameters, 'DateSent<');
  const after = firstValue(parameters, 'DateSent>');
  if (on === undefined && before === undefined && after === undefined) return 'any';
  const ranges = {
    on: on === undefined ? everything : span(on.slice(0, 10)),
    before: before === undefined ? everything : span(before),
    after: after === undefined ? everything : span(after),
  };
  const range = {
    from: Math.max(ranges.on.from, ranges.after.from),
    until: Math.min(ranges.on.until, ranges.before.until),
  };
  return Number.isNaN(range.from) || Number.isNaN(range.until) ? undefined : range;
}

const everything: Range = { from: -Infinity, until: Infinity };

/** The day of `YYYY-MM-DD`, or the second of a date with a time. */
function span(text: string): Range {
  const from = Date.parse(text);
  return { from, until: from + (/^\d{4}-\d{2}-\d{2}$/.test(text) ? day : second) };
}

function isWithin(date: Date, range: Range): boolean {
  // A date_sent has whole seconds.
  const time = Math.floor(date.getTime() / second) * second;
  return time >= range.from && time < range.until;
}

function wholeNumber(parameters: FormParameters, name: string, otherwise: number): number {
  const value = Number(firstValue(parameters, name) ?? otherwise);
  return Number.isInteger(value) && value >= 0 ? value : otherwise;
}
