import type { MessageInstance } from 'twilio/lib/rest/api/v2010/account/message.js';
import { numberOf, parseAddress, userIdsOf } from '../message-events/channel-address.js';
import type { MessageStatusReport } from '../message-events/message-status-report.js';

/** Converts Twilio's answer about a message to the report that a callback would have given. */
export function toMessageStatusReport(message: MessageInstance): MessageStatusReport {
  const to = parseAddress(message.to);
  const from = parseAddress(message.from);
  return {
    messageSid: message.sid,
    messageStatus: message.status,
    channel: to.channel ?? from.channel ?? 'sms',
    toNumber: numberOf(to),
    fromNumber: numberOf(from),
    ...userIdsOf([to]),
    // Null without an error, contrary to its type.
    errorCode: Number.isInteger(message.errorCode) ? String(message.errorCode) : null,
    errorMessage: message.errorMessage || null,
    accountSid: message.accountSid,
    payload: payloadOf(message),
    source: 'poll',
    smsFallbackId: null,
    callbackUrl: null,
  };
}

/** The message with the property names of Twilio's library. Its text is left out of the log, as in callbacks. */
function payloadOf(message: MessageInstance): Record<string, unknown> {
  const properties = Object.entries(message.toJSON() as Record<string, unknown>);
  return Object.fromEntries(properties.filter(([name]) => name !== 'body'));
}
