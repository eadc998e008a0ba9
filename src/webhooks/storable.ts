import { ExactNumber, MAXIMUM_DEPTH, NestedTooDeepError } from '../message-events/exact-json.js';

const REPLACEMENT_CHARACTER = '\uFFFD';

/**
 * A JSON value as PostgreSQL can hold it as jsonb: U+0000 and lone surrogates, which jsonb cannot hold, become U+FFFD.
 * Everything else stays as it is, and a value without any of them is returned unchanged.
 * @throws NestedTooDeepError
 */
export function storable<Value>(value: Value): Value {
  return isStorable(value) ? value : replaced(value);
}

/** Whether a value needs no change. Most need none, and this check is much cheaper than a copy. */
function isStorable(value: unknown, depth = 0): boolean {
  assertDepth(depth);
  if (typeof value === 'string') return isStorableText(value);
  if (typeof value !== 'object' || value === null) return true;
  // A plain loop, since every callback runs it: Object.keys() and the like take three times as long.
  for (const name in value) {
    if (!isStorableText(name) || !isStorable(value[name as keyof typeof value], depth + 1)) return false;
  }
  return true;
}

function isStorableText(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

function replaced<Value>(value: Value): Value;
function replaced(value: unknown, depth?: number): unknown;
function replaced(value: unknown, depth = 0): unknown {
  assertDepth(depth);
  if (typeof value === 'string') return value.toWellFormed().replaceAll('\0', REPLACEMENT_CHARACTER);
  if (Array.isArray(value)) return value.map((item) => replaced(item, depth + 1));
  if (typeof value !== 'object' || value === null || value instanceof ExactNumber) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [replaced(name), replaced(item as unknown, depth + 1)]),
  );
}

function assertDepth(depth: number): void {
  if (depth > MAXIMUM_DEPTH) throw new NestedTooDeepError('The value is nested too deep');
}
