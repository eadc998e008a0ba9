import { parseArgs, type ParseArgsConfig, types } from 'node:util';
import { UsageError } from './command.js';

/** The milliseconds of the units in which a time ago is written. */
const UNITS: Readonly<Record<string, number>> = {
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

type Flags = NonNullable<ParseArgsConfig['options']>;

/** As node:util's `parseArgs`. @throws UsageError */
export function readArguments<Options extends Flags>(args: readonly string[], options: Options) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    // Node's message goes on about positional arguments after its first sentence.
    throw new UsageError(types.isNativeError(error) ? (error.message.split('. ')[0] ?? '') : String(error));
  }
}

/**
 * A time in ISO 8601, in UTC where it names no zone, or so long ago: 30m, 2h, 3d, 1w.
 * @throws UsageError
 */
export function readTime(name: string, text: string): Date {
  const time = timeAgo(text) ?? isoTime(text);
  if (!Number.isNaN(time.getTime())) return time;
  throw new UsageError(`${name} is a time such as 2026-01-31T10:00Z, or 30m, 2h, 3d or 1w ago, not ${text}`);
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

/** @throws UsageError */
export function readWholeNumber(name: string, text: string, maximum: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= maximum) return value;
  throw new UsageError(`${name} is a whole number from 1 to ${maximum}, not ${text}`);
}

/** The parts of `a,b,c`. @throws UsageError where there is none, or one that is not `known`. */
export function readList<Part extends string>(
  name: string,
  text: string,
  known?: readonly Part[],
): readonly Part[] {
  const parts = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  if (parts.length === 0) throw new UsageError(`${name} is empty`);
  const unknown =
    known === undefined ? undefined : parts.find((part) => !(known as readonly string[]).includes(part));
  if (unknown === undefined) return parts as Part[];
  throw new UsageError(`${name} is one or more of ${known?.join(', ') ?? ''}, not ${unknown}`);
}
