import { SegmentedMessage } from 'sms-segments-calculator';
import { channelOf, maskedNumber } from './addresses.js';
import type { SimulatedMessage } from './message.js';

/**
 * The data that Twilio's message redaction hides in GET
 * (https://www.twilio.com/docs/messaging/guides/privacy-message-redaction): the last four digits of the person's
 * number, the text, or both. Twilio's redaction begins when a message is sent; this one begins at once, the harder
 * case.
 */
export type Redaction = 'none' | 'numbers' | 'bodies' | 'both';

export function hidesNumbers(redaction: Redaction): boolean {
  return redaction === 'numbers' || redaction === 'both';
}

export function hidesBodies(redaction: Redaction): boolean {
  return redaction === 'bodies' || redaction === 'both';
}

/** The JSON of a message: `api.v2010.account.message` of Twilio's OpenAPI document. */
export function messageResource(message: SimulatedMessage, redaction: Redaction = 'none') {
  const { direction = 'outbound-api', to, from = null } = message;
  const person = (address: string | null, isPerson: boolean): string | null =>
    address !== null && isPerson && hidesNumbers(redaction) ? maskedNumber(address) : address;
  const path = `/2010-04-01/Accounts/${message.accountSid}/Messages/${message.sid}`;
  return {
    account_sid: message.accountSid,
    api_version: '2010-04-01',
    body: hidesBodies(redaction) ? '' : message.body,
    date_created: rfc2822(message.dateCreated),
    date_sent: message.dateSent === undefined ? null : rfc2822(message.dateSent),
    date_updated: rfc2822(message.dateUpdated),
    direction,
    error_code: message.errorCode ?? null,
    error_message: message.errorMessage ?? null,
    from: person(from, direction === 'inbound'),
    messaging_service_sid: message.messagingServiceSid ?? null,
    num_media: String(message.mediaCount),
    num_segments: String(segments(message)),
    price: null,
    price_unit: null,
    sid: message.sid,
    status: message.status,
    subresource_uris: { media: `${path}/Media.json` },
    to: person(to, direction !== 'inbound'),
    uri: `${path}.json`,
  };
}

/** A cache, since counting takes milliseconds and lists repeat each message often. */
const counted = new WeakMap<SimulatedMessage, number>();

/** Counts segments: none until a Messaging Service has picked a sender; always one on other channels. */
function segments(message: SimulatedMessage): number {
  const { from, to, body } = message;
  if (from === undefined) return 0;
  if (channelOf(to) !== 'sms') return 1;
  const known = counted.get(message) ?? Math.max(1, new SegmentedMessage(body).segmentsCount);
  counted.set(message, known);
  return known;
}

/** `Thu, 24 Aug 2023 05:01:45 +0000`: whole seconds, in GMT. */
function rfc2822(date: Date): string {
  return date.toUTCString().replace('GMT', '+0000');
}
