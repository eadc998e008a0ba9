import { type CallbackContent, type CallbackParameters, isObject } from './callback-parameters.js';

/** No more of an array is looked at, since it is not verified yet. Its events are all alike. */
const LOOKED_AT = 100;

/**
 * The CloudEvents of a JSON body, one or an array of them, as Event Streams sends them.
 * Source: docs, events/webhook-quickstart.
 */
export function cloudEvents({ parameters, list }: CallbackContent): readonly CallbackParameters[] {
  return (list?.slice(0, LOOKED_AT) ?? [parameters]).filter(isCloudEvent);
}

/** The accounts that events name: `data.accountSid`, which each product spells its own way. */
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
