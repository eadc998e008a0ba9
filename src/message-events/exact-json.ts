/** No callback nests this deep; PostgreSQL's JSON parser has a limit too. */
export const MAXIMUM_DEPTH = 64;

/** A value nests too deep to be stored. */
export class NestedTooDeepError extends Error {
  override readonly name = 'NestedTooDeepError';
}

/**
 * The digits of a number that is stored exactly. PostgreSQL's `numeric` allows far more (131,072 digits, and 16,383
 * after the point).
 */
const MOST_DIGITS = 10_000;
const MOST_EXPONENT = 1_000;

/** Marks the text of a number. No other stored text has U+0000, see storable(). */
const MARK = '\0';

/** The fraction and the exponent of a number of JSON. */
const PARTS = /^-?\d+(?:\.(\d+))?(?:e([+-]?\d+))?$/i;

const MARKED = /"\\u0000(-?\d[\d.eE+-]*)"/g;

/** A JSON number that JavaScript would write differently. */
export class ExactNumber {
  constructor(private readonly text: string) {}

  /** Returns JavaScript's notation if that is certainly the same number: `63049` of `63049.0` and of `6.3049e4`. */
  toString(): string {
    const [, fraction = '', exponent = '0'] = PARTS.exec(this.text) ?? [];
    const isInteger = fraction.replace(/0+$/, '').length <= Number(exponent);
    const value = Number(this.text);
    return isInteger && Number.isSafeInteger(value) ? String(value) : this.text;
  }

  toJSON(): string {
    return MARK + this.text;
  }
}

/**
 * Parses valid JSON so that stringifyExactly() writes its numbers as they were sent. A name that is repeated has all of its
 * values, as in a form. A number that PostgreSQL cannot hold exactly (minus zero, huge exponents) becomes a text.
 * @throws NestedTooDeepError
 */
export function parseExactly(json: string): unknown {
  return new Reader(json.match(TOKENS) ?? []).value(0);
}

/** Stringifies values from parseExactly() and any other. */
export function stringifyExactly(value: unknown): string {
  const json = JSON.stringify(value);
  return json.includes('\\u0000') ? json.replace(MARKED, '$1') : json;
}

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

/** Tokens: brackets, strings, numbers and words; anything between them is irrelevant. */
const TOKENS = /[[\]{}]|"[^"\\]*(?:\\.[^"\\]*)*"|[^\s[\]{}",:]+/g;

class Reader {
  private position = 0;

  constructor(private readonly tokens: readonly string[]) {}

  value(depth: number): unknown {
    if (depth > MAXIMUM_DEPTH) throw new NestedTooDeepError('The value is nested too deep');
    const token = this.next();
    if (token === '{') return this.object(depth);
    if (token === '[') return this.array(depth);
    return /^[-\d]/.test(token) ? number(token) : (JSON.parse(token) as unknown);
  }

  private object(depth: number): unknown {
    const values = new Map<string, unknown[]>();
    for (let token = this.next(); token !== '}'; token = this.next()) {
      const name = JSON.parse(token) as string;
      const value = this.value(depth + 1);
      const known = values.get(name);
      if (known === undefined) values.set(name, [value]);
      else known.push(value);
    }
    return Object.fromEntries([...values].map(([name, all]) => [name, all.length === 1 ? all[0] : all]));
  }

  private array(depth: number): unknown[] {
    const items: unknown[] = [];
    while (this.tokens[this.position] !== ']') items.push(this.value(depth + 1));
    this.position += 1;
    return items;
  }

  private next(): string {
    const token = this.tokens[this.position];
    if (token === undefined) throw new SyntaxError('The JSON ends too early');
    this.position += 1;
    return token;
  }
}

function number(text: string): unknown {
  if (String(Number(text)) === text) return Number(text);
  const [digits = '', exponent = '0'] = text.split(/e/i);
  const isMinusZero = /^-[0.]+$/.test(digits);
  const isHuge = digits.length > MOST_DIGITS || Math.abs(Number(exponent)) > MOST_EXPONENT;
  return isMinusZero || isHuge ? text : new ExactNumber(text);
}
