import type { MessageInstance } from 'twilio/lib/rest/api/v2010/account/message.js';
import { numberOf, parseAddress, userIdsOf } from '../message-events/channel-address.js';
import type { MessageStatusReport } from '../message-events/message-status-report.js';

/** What Twilio answered about a message, as a callback would have told it. */
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
    // Null in spite of its type, where there is no error.
    errorCode: Number.isInteger(message.errorCode) ? String(message.errorCode) : null,
    errorMessage: message.errorMessage || null,
    accountSid: message.accountSid,
    payload: payloadOf(message),
    source: 'poll',
    smsFallbackId: null,
    callbackUrl: null,
  };
}

/** The message as Twilio's library names its properties; its text is in no callback either, and stays out of the log. */
function payloadOf(message: MessageInstance): Record<string, unknown> {
  const properties = Object.entries(message.toJSON() as Record<string, unknown>);
  return Object.fromEntries(properties.filter(([name]) => name !== 'body'));
}
