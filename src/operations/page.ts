import { z } from 'zod';
import { parsePersonName } from '../message-events/people.js';

/** The maximum number of rows per page. */
const MAXIMUM_LIMIT = 100;

/**
 * An object with these names only. The error quotes an unknown name only if it is a word: others may be a phone number
 * or a key.
 */
export function parameters<Shape extends z.ZodRawShape>(shape: Shape) {
  const known = Object.keys(shape).join(', ');
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return undefined;
      const unknown = (issue as { keys?: readonly string[] }).keys ?? [];
      const shown = unknown.map((name) => (/^[a-z]{1,30}$/i.test(name) ? name : '…'));
      return `Unknown: ${shown.join(', ')}. Known: ${known}`;
    },
  });
}

/** The query parameter that every list has. */
export const limit = z.coerce
  .number()
  .int()
  .min(1)
  .max(MAXIMUM_LIMIT)
  .default(50)
  .describe('the maximum number of items');

/** `true` or `false`; false by default. */
export const flag = z
  .enum(['true', 'false'])
  .default('false')
  .transform((value) => value === 'true');

/** Whether phone numbers are shown whole, which is logged. */
export const numbers = flag.describe(
  'whole telephone numbers, instead of their last four digits; asking for them is logged',
);

/** A time in ISO 8601 with its zone, e.g. 2026-01-31T10:00:00Z. */
export const time = z.iso
  .datetime({ offset: true, error: 'must be a time with its zone, e.g. 2026-01-31T10:00:00Z' })
  .transform((text) => new Date(text));

/** A Twilio message SID, or what an application uses as one. */
export const messageSid = z.string().min(1).max(64);

/** A number in any form with its country code, or a user ID. A plus that is not percent-encoded arrives as a space. */
export const person = z
  .string()
  .max(160)
  .transform((text, context) => {
    const name = parsePersonName(text);
    if (name !== null) return name;
    context.addIssue({
      code: 'custom',
      message:
        'must be a number with its country, e.g. +15551234567, or a WhatsApp user ID, e.g. US.13491208655302741918',
    });
    return z.NEVER;
  });

/** Below 2^53, so that arithmetic on it is exact. */
export const microseconds = z.string().regex(/^\d{1,15}$|^[1-8]\d{15}$/);

/** The sort key of a list by creation, newest first. It is in microseconds, which a Date lacks. */
export const creation = z.object({ microseconds, id: z.uuid() });

/** The SQL expression of `creation.microseconds`. */
export const MICROSECONDS = '(extract(epoch from created_at) * 1000000)::bigint::text';

/** A page of a list, newest first. */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({
    items: z.array(item),
    nextCursor: z.string().nullable().describe('give it as `cursor` to get the next page; null at the end'),
  });
}

/** The position where a list continues: an opaque text made from the sort key of the last row shown. */
export function cursorOf<Position extends z.ZodType>(position: Position) {
  return z
    .string()
    .max(512)
    .transform((text, context): z.output<Position> => {
      const result = position.safeParse(decoded(text));
      if (result.success) return result.data;
      context.addIssue({ code: 'custom', message: 'is not a cursor of this list' });
      return z.NEVER;
    })
    .optional()
    .describe('`nextCursor` of the previous page');
}

/** @param rows one more than the page holds if there is a next page. */
export function toPage<Row, Item>(
  rows: readonly Row[],
  limit: number,
  show: (row: Row) => Item,
  position: (row: Row) => unknown,
): { items: Item[]; nextCursor: string | null } {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const nextCursor = rows.length > limit && last !== undefined ? encoded(position(last)) : null;
  return { items: shown.map(show), nextCursor };
}

function encoded(position: unknown): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url');
}

function decoded(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}
