import { InvalidArgumentError } from 'commander';
import type { End, Terminal } from '../process/command-line.js';
import type { Operations } from './operations.js';

/** The context that commands run in. */
export interface Surroundings {
  readonly terminal: Terminal;
  readonly open: () => Promise<Operations>;
  /** The requester, e.g. `cli:alice@host`. */
  readonly requester: string;
  readonly end: End;
}

/** Opens the database for some work and exits with its exit code. */
export async function withOperations(
  { open, end }: Surroundings,
  work: (operations: Operations) => Promise<number>,
): Promise<void> {
  const operations = await open();
  try {
    end(await work(operations));
  } finally {
    await operations.close();
  }
}

/** Milliseconds per unit of a relative time. */
const UNITS: Readonly<Record<string, number>> = {
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/**
 * Reads a time in ISO 8601 (UTC unless it names a zone) or a relative time: 30m, 2h, 3d, 1w ago.
 * @throws InvalidArgumentError
 */
export function readTime(text: string): Date {
  const time = timeAgo(text) ?? isoTime(text);
  if (!Number.isNaN(time.getTime())) return time;
  throw new InvalidArgumentError('Give a time such as 2026-01-31T10:00Z, or 30m, 2h, 3d or 1w ago.');
}

function timeAgo(text: string): Date | null {
  const [, amount, unit] = /^(\d+)([mhdw])$/.exec(text) ?? [];
  if (amount === undefined || unit === undefined) return null;
  return new Date(Date.now() - Number(amount) * (UNITS[unit] ?? 0));
}

function isoTime(text: string): Date {
  const [, date = '', time = '00:00', zone = 'Z'] =
    /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)(Z|[+-]\d{2}:\d{2})?)?$/.exec(text) ?? [];
  return new Date(`${date}T${time}${zone}`);
}

/** Reads a whole number from 1 to `maximum`. */
export function wholeNumber(maximum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= 1 && value <= maximum) return value;
    throw new InvalidArgumentError(`Give a whole number from 1 to ${maximum}.`);
  };
}

/** Reads `a,b,c`; if `known` is given, each part must be in it. */
export function listOf<Part extends string>(known?: readonly Part[]): (text: string) => readonly Part[] {
  return (text) => {
    const parts = text
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '');
    if (parts.length === 0) throw new InvalidArgumentError('It is empty.');
    if (known !== undefined && parts.some((part) => !(known as readonly string[]).includes(part)))
      throw new InvalidArgumentError(`Give one or more of ${known.join(', ')}.`);
    return parts as Part[];
  };
}

/** Formats a table with a header; each column is as wide as its widest cell. */
export function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map((name, index) =>
    Math.max(name.length, ...rows.map((row) => row[index]?.length ?? 0)),
  );
  return [columns, ...rows]
    .map((row) =>
      row
        .map((cell, index) => cell.padEnd(widths[index] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Formats a time in UTC, to the second; a dash for null. */
export function shortTime(time: Date | null): string {
  return time === null ? '-' : `${time.toISOString().slice(0, 19).replace('T', ' ')}Z`;
}

/** `1 fallback`, `1,234 fallbacks`. */
export function counted(count: number, singular: string): string {
  return `${count.toLocaleString('en')} ${singular}${count === 1 ? '' : 's'}`;
}
