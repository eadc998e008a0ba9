import { type CallbackContent, type CallbackParameters, isObject } from './callback-parameters.js';

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
