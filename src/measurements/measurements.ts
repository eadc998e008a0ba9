import { type Channel, channel, subscribe, unsubscribe } from 'node:diagnostics_channel';

/** What features tell of their work for somebody to measure, by name. */
export interface Measurements {
  /** A request to the webhook has its answer. `channel` and `status` are null where nobody vouches for them. */
  'callback.answered': {
    readonly channel: string | null;
    readonly status: string | null;
    readonly result: 'stored' | 'repeated' | 'rejected' | 'refused' | 'not_stored';
  };
  /** Events were written in one commit. */
  'events.committed': { readonly events: number };
  /** PostgreSQL refused to write events, with this SQLSTATE. */
  'events.refused': { readonly code: string };
  /** A fallback is at an end. */
  'sms_fallback.ended': {
    readonly state: 'sent' | 'skipped' | 'failed';
    readonly reason: string | null;
    /** From the callback to the SMS; null where there is none, or where an operator had it tried again. */
    readonly secondsFromCallback: number | null;
  };
}

const PREFIX = 'whatsapp-sms-fallback:';

/** To look one up takes longer than to tell it something. */
const channels: Readonly<Record<keyof Measurements, Channel>> = {
  'callback.answered': channel(`${PREFIX}callback.answered`),
  'events.committed': channel(`${PREFIX}events.committed`),
  'events.refused': channel(`${PREFIX}events.refused`),
  'sms_fallback.ended': channel(`${PREFIX}sms_fallback.ended`),
};

/** Tells it to whoever listens in this process. Where nobody does, this costs next to nothing. */
export function measured<Name extends keyof Measurements>(name: Name, value: Measurements[Name]): void {
  channels[name].publish(value);
}

/** A listener must be quick, and must not throw. @returns what ends the listening. */
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
