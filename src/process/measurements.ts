import { type Channel, channel, subscribe, unsubscribe } from 'node:diagnostics_channel';

/** What features report about their work for metrics, by name. */
export interface Measurements {
  /** A request to the webhook was answered. `channel` and `status` are null if they are not authenticated. */
  'callback.answered': {
    readonly channel: string | null;
    readonly status: string | null;
    readonly result: 'stored' | 'repeated' | 'rejected' | 'refused' | 'not_stored';
  };
  /** Events were written in one commit. */
  'events.committed': { readonly events: number };
  /** PostgreSQL refused to write events, with this SQLSTATE. */
  'events.refused': { readonly code: string };
  /** A fallback has ended. */
  'sms_fallback.ended': {
    readonly state: 'sent' | 'skipped' | 'failed';
    readonly reason: string | null;
    /** From the callback to the SMS; null without an SMS, or after a retry by an operator. */
    readonly secondsFromCallback: number | null;
  };
}

const PREFIX = 'whatsapp-sms-fallback:';

/** Kept here because looking up a channel takes longer than publishing to it. */
const channels: Readonly<Record<keyof Measurements, Channel>> = {
  'callback.answered': channel(`${PREFIX}callback.answered`),
  'events.committed': channel(`${PREFIX}events.committed`),
  'events.refused': channel(`${PREFIX}events.refused`),
  'sms_fallback.ended': channel(`${PREFIX}sms_fallback.ended`),
};

/** Publishes a measurement to the listeners in this process. Without one, it costs next to nothing. */
export function measured<Name extends keyof Measurements>(name: Name, value: Measurements[Name]): void {
  channels[name].publish(value);
}

/** Subscribes a listener, which must be quick and must not throw. @returns a function that unsubscribes it. */
export function onMeasured<Name extends keyof Measurements>(
  name: Name,
  listener: (value: Measurements[Name]) => void,
): () => void {
  const onMessage = (message: unknown): void => {
    listener(message as Measurements[Name]);
  };
  subscribe(PREFIX + name, onMessage);
  return () => {
    unsubscribe(PREFIX + name, onMessage);
  };
}
