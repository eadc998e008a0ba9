import type { SimulatedMessage } from './message.js';

/** The JSON of a message: `api.v2010.account.message` of Twilio's OpenAPI document. */
export function messageResource(message: SimulatedMessage) {
  const path = `/2010-04-01/Accounts/${message.accountSid}/Messages/${message.sid}`;
  return {
    account_sid: message.accountSid,
    api_version: '2010-04-01',
    body: message.body,
    date_created: rfc2822(message.dateCreated),
    date_sent: message.dateSent === undefined ? null : rfc2822(message.dateSent),
    date_updated: rfc2822(message.dateUpdated),
    direction: 'outbound-api',
    error_code: message.errorCode ?? null,
    error_message: message.errorMessage ?? null,
    from: message.from ?? null,
    messaging_service_sid: message.messagingServiceSid ?? null,
    num_media: String(message.mediaCount),
    num_segments:
      message.from === undefined ? '0' : String(Math.max(1, Math.ceil(message.body.length / 153))),
    price: null,
    price_unit: null,
    sid: message.sid,
    status: message.status,
    subresource_uris: { media: `${path}/Media.json` },
    to: message.to,
    uri: `${path}.json`,
  };
}

/** `Thu, 24 Aug 2023 05:01:45 +0000`: whole seconds, in GMT. */
function rfc2822(date: Date): string {
  return date.toUTCString().replace('GMT', '+0000');
}
