import type { FallbackFilter } from '../fallback/fallback-records.js';
import { SMS_FALLBACK_STATES } from '../fallback/sms-fallback-state.js';
import { readArguments, readList, readTime, readWholeNumber } from './arguments.js';
import { UsageError } from './command.js';

/** What `npm run fallbacks` was asked to do. */
export type FallbacksOptions = ListOptions | ShowOptions | RetryOptions;

export interface ListOptions {
  readonly command: 'list';
  readonly filter: FallbackFilter;
  readonly limit: number;
  readonly json: boolean;
  readonly numbers: boolean;
}

export interface ShowOptions {
  readonly command: 'show';
  /** The id of a fallback, or the SID of its original message or of its SMS. */
  readonly name: string;
  readonly json: boolean;
  readonly numbers: boolean;
}

export interface RetryOptions {
  readonly command: 'retry';
  /** Those that were named, or those of a filter. */
  readonly target: { readonly names: readonly string[] } | { readonly filter: FallbackFilter };
  readonly yes: boolean;
  readonly dryRun: boolean;
  /** Sends the SMS however old the WhatsApp message is. */
  readonly ignoreAge: boolean;
  readonly json: boolean;
}

const MAXIMUM_LIMIT = 10_000;

const help = { help: { type: 'boolean', short: 'h' } } as const;
const json = { json: { type: 'boolean', default: false } } as const;
const numbers = { numbers: { type: 'boolean', default: false } } as const;
const filterFlags = {
  state: { type: 'string' },
  reason: { type: 'string' },
  since: { type: 'string' },
  until: { type: 'string' },
} as const;

/**
 * @returns undefined where help was asked for.
 * @throws UsageError
 */
export function readFallbacksOptions(args: readonly string[]): FallbacksOptions | undefined {
  const [command, ...rest] = args;
  switch (command) {
    case 'list':
      return readListing(rest);
    case 'show':
      return readShow(rest);
    case 'retry':
      return readRetry(rest);
    case '--help':
    case '-h':
    case 'help':
      return undefined;
    case undefined:
      throw new UsageError('Say what to do: list, show or retry');
    default:
      throw new UsageError(`There is list, show and retry, but no ${command}`);
  }
}

function readListing(args: readonly string[]): ListOptions | undefined {
  const flags = {
    ...filterFlags,
    limit: { type: 'string', default: '50' },
    ...json,
    ...numbers,
    ...help,
  } as const;
  const { values, positionals } = readArguments(args, flags);
  if (values.help === true) return undefined;
  if (positionals.length > 0)
    throw new UsageError(`list takes no name; show does: show ${positionals.join(' ')}`);
  return {
    command: 'list',
    filter: readFilter(values),
    limit: readWholeNumber('--limit', values.limit, MAXIMUM_LIMIT),
    json: values.json,
    numbers: values.numbers,
  };
}

function readShow(args: readonly string[]): ShowOptions | undefined {
  const { values, positionals } = readArguments(args, { ...json, ...numbers, ...help } as const);
  if (values.help === true) return undefined;
  const [name, ...more] = positionals;
  if (name === undefined || more.length > 0) {
    throw new UsageError('show takes one name: the id of a fallback, or the SID of a message');
  }
  return { command: 'show', name, json: values.json, numbers: values.numbers };
}

function readRetry(args: readonly string[]): RetryOptions | undefined {
  const flags = {
    ...filterFlags,
    yes: { type: 'boolean', default: false },
    'dry-run': { type: 'boolean', default: false },
    'ignore-age': { type: 'boolean', default: false },
    ...json,
    ...help,
  } as const;
  const { values, positionals } = readArguments(args, flags);
  if (values.help === true) return undefined;
  return {
    command: 'retry',
    target: readTarget(positionals, readFilter(values)),
    yes: values.yes,
    dryRun: values['dry-run'],
    ignoreAge: values['ignore-age'],
    json: values.json,
  };
}

function readTarget(names: readonly string[], filter: FallbackFilter): RetryOptions['target'] {
  const isFiltered = Object.keys(filter).length > 0;
  if (names.length > 0 && isFiltered) throw new UsageError('retry takes names or a filter, not both');
  if (names.length > 0) return { names: [...new Set(names)] };
  if (!isFiltered) throw new UsageError('Say which to retry: names, or a filter such as --state failed');
  if (filter.states?.includes('sent'))
    throw new UsageError('What was sent is never sent again: --state sent');
  return { filter: { states: ['failed', 'skipped'], ...filter } };
}

function readFilter(values: Partial<Record<keyof typeof filterFlags, string>>): FallbackFilter {
  const { state, reason, since, until } = values;
  return {
    ...(state !== undefined && { states: readList('--state', state, SMS_FALLBACK_STATES) }),
    ...(reason !== undefined && { reasons: readList('--reason', reason) }),
    ...(since !== undefined && { since: readTime('--since', since) }),
    ...(until !== undefined && { until: readTime('--until', until) }),
  };
}
