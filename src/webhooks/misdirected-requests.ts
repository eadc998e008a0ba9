import { type CallbackContent, type CallbackParameters, isObject } from './callback-request.js';

/** Only this many items of an array are read, since it is not verified yet. Its events are all alike. */
const LOOKED_AT = 100;

/**
 * Returns the CloudEvents of a JSON body, one or an array of them, as Event Streams sends them.
 * Source: docs, events/webhook-quickstart.
 */
export function cloudEvents({ parameters, list }: CallbackContent): readonly CallbackParameters[] {
  return (list?.slice(0, LOOKED_AT) ?? [parameters]).filter(isCloudEvent);
}

/** Returns the accounts that events name in `data.accountSid`, which each product spells differently. */
export function accountsOf(events: readonly CallbackParameters[]): readonly string[] {
  const named = events.flatMap(({ data }) => (isObject(data) ? Object.entries(data) : []));
  const accountSids = named.flatMap(([name, value]) =>
    typeof value === 'string' && isAccountSid(name) ? [value] : [],
  );
  return [...new Set(accountSids)];
}

/** `accountSid`, `account_sid`, `AccountSid`, … */
function isAccountSid(name: string): boolean {
  return /^account_?sid$/i.test(name);
}

function isCloudEvent(value: unknown): value is CallbackParameters {
  return isObject(value) && typeof value.specversion === 'string' && typeof value.type === 'string';
}

/** A request from Twilio that belongs at another URL. */
export interface MisdirectedRequest {
  /** The kind of request, e.g. `an inbound message`. */
  readonly name: string;
  /** Where it belongs, and how to send it there. */
  readonly advice: string;
}

interface Kind extends MisdirectedRequest {
  /** Looks up a few names only: the request may be unsigned and have thousands of parameters. */
  readonly matches: (parameters: CallbackParameters) => boolean;
}

const EVENT_STREAMS: MisdirectedRequest = {
  name: 'an Event Streams delivery (CloudEvents)',
  advice:
    "Set the destination of the Event Streams sink to your application's URL, and have Twilio report here with a status callback URL",
};

/** The first match counts. Sources: the pages of Twilio's docs that are named below. */
const KINDS: readonly Kind[] = [
  {
    // conversations/conversations-webhooks; chat/webhook-events, its predecessor.
    name: 'a Conversations webhook',
    advice:
      "Set the Conversations webhook (global, of the service, or of the conversation) to your application's URL",
    matches: (parameters) =>
      /^on[A-Z]/.test(text(parameters, 'EventType')) ||
      hasAny(parameters, ['ConversationSid', 'ChatServiceSid', 'ChannelSid', 'DeliveryReceiptSid']),
  },
  {
    // taskrouter/api/event/reference; taskrouter/handle-assignment-callbacks.
    name: 'a TaskRouter event',
    advice:
      "Set the event callback URL of the TaskRouter workspace, or the assignment callback URL of the workflow, to your application's URL",
    matches: (parameters) =>
      /^(activity|reservation|task|task-queue|worker|workflow|workspace)\./.test(
        text(parameters, 'EventType'),
      ) || hasAny(parameters, ['WorkspaceSid', 'TaskSid', 'ReservationSid']),
  },
  {
    // usage/troubleshooting/debugging-event-webhooks.
    name: 'a Debugger webhook',
    advice: "Set the webhook URL of the Console's Debugger (Monitor → Errors) to your application's URL",
    matches: (parameters) =>
      hasAny(parameters, ['PayloadType']) &&
      (hasAny(parameters, ['Level']) || text(parameters, 'Sid').startsWith('NO')),
  },
  {
    // voice/twiml#request-parameters, voice/api/call-resource, recording, transcription, conference.
    name: 'a Voice callback',
    advice:
      'Set "A call comes in", or the status callback of the call, conference or recording, to your application\'s URL',
    matches: (parameters) =>
      hasAny(parameters, ['CallSid', 'CallStatus', 'ConferenceSid', 'RecordingSid', 'TranscriptionSid']),
  },
  {
    // video/api/status-callbacks.
    name: 'a Video callback',
    advice: "Set the status callback of the room or the composition to your application's URL",
    matches: (parameters) => hasAny(parameters, ['RoomSid', 'CompositionSid']),
  },
  {
    // verify/api/webhooks.
    name: 'a Verify webhook',
    advice: "Set the webhook of the Verify service to your application's URL",
    matches: (parameters) =>
      /^(factor|challenge)\./.test(text(parameters, 'type')) ||
      text(parameters, 'service_sid').startsWith('VA'),
  },
  {
    // usage/api/usage-trigger.
    name: 'a usage trigger',
    advice: "Set the callback URL of the usage trigger to your application's URL",
    matches: (parameters) => hasAny(parameters, ['UsageTriggerSid', 'UsageCategory']),
  },
  {
    // messaging/guides/webhook-request.
    name: 'an inbound message',
    advice:
      'Set "A message comes in" of the number, the WhatsApp sender or the Messaging Service to your application\'s URL',
    matches: (parameters) =>
      /^receiv(ed|ing)$/.test(text(parameters, 'SmsStatus')) ||
      (hasAny(parameters, ['Body']) && hasAny(parameters, ['NumMedia', 'SmsMessageSid'])),
  },
  {
    name: 'an event of another Twilio product',
    advice: "Find the setting that names this URL, and set it to your application's URL",
    matches: (parameters) =>
      hasAny(parameters, ['EventType', 'StatusCallbackEvent']) &&
      !hasAny(parameters, ['MessageSid', 'SmsSid']),
  },
];

/** @returns the kind of a request that does not belong here; null for a status callback and for an unknown request. */
export function misdirectedRequest(content: CallbackContent): MisdirectedRequest | null {
  const { parameters, list } = content;
  // Always a status callback, even with Body, EventType=READ, or parameters that Twilio adds later.
  if (parameters.MessageSid !== undefined && parameters.MessageStatus !== undefined) return null;
  if (cloudEvents(content).length > 0) return EVENT_STREAMS;
  return list === null ? (KINDS.find(({ matches }) => matches(parameters)) ?? null) : null;
}

/** One sentence or two for the answer, the log, and `rejected_callbacks`. */
export function explainMisdirected({ name, advice }: MisdirectedRequest): string {
  return `${name}, and this URL takes message status callbacks only. ${advice}`;
}

function hasAny(parameters: CallbackParameters, names: readonly string[]): boolean {
  return names.some((name) => parameters[name] !== undefined);
}

/** A parameter's text, the first one if it is repeated; empty if it is missing or not text. */
function text(parameters: CallbackParameters, name: string): string {
  const value = parameters[name];
  const first: unknown = Array.isArray(value) ? value[0] : value;
  return typeof first === 'string' ? first : '';
}
