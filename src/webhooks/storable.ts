import { ExactNumber, MAXIMUM_DEPTH, NestedTooDeepError } from '../message-events/exact-json.js';

const REPLACEMENT_CHARACTER = '\uFFFD';

/**
 * A JSON value as PostgreSQL can hold it as jsonb: U+0000 and lone surrogates, which it cannot, become U+FFFD. Everything
 * else stays as it is, and a value without any of them is returned itself.
 * @throws NestedTooDeepError
 */
export function storable<Value>(value: Value): Value {
  return isStorable(value) ? value : replaced(value);
}

/** Most values are, and to find it out takes much less than a copy. */
function isStorable(value: unknown, depth = 0): boolean {
  assertDepth(depth);
  if (typeof value === 'string') return isStorableText(value);
  if (typeof value !== 'object' || value === null) return true;
  // Written out, since every callback comes by here: Object.keys() and its like take three times as long.
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
