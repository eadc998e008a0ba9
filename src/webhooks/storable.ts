const REPLACEMENT_CHARACTER = '\uFFFD';

/** No callback nests this deep; PostgreSQL's JSON parser has a limit too. */
const MAXIMUM_DEPTH = 64;

/** A value nests too deep to be stored. */
export class NestedTooDeepError extends Error {
  override readonly name = 'NestedTooDeepError';
}

/**
 * A copy of a JSON value that PostgreSQL can hold as jsonb: U+0000 and lone surrogates, which it cannot, become
 * U+FFFD. Everything else stays as it is.
 * @throws NestedTooDeepError
 */
export function storable<Value>(value: Value): Value;
export function storable(value: unknown, depth?: number): unknown;
export function storable(value: unknown, depth = 0): unknown {
  if (depth > MAXIMUM_DEPTH) throw new NestedTooDeepError('The value is nested too deep');
  if (typeof value === 'string') return value.toWellFormed().replaceAll('\0', REPLACEMENT_CHARACTER);
  if (Array.isArray(value)) return value.map((item) => storable(item, depth + 1));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [storable(name), storable(item as unknown, depth + 1)]),
  );
}
