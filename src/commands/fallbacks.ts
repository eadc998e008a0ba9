import { type Command, Option } from 'commander';
import { SMS_FALLBACK_STATES, type SmsFallbackState } from '../fallback/sms-fallback-state.js';
import type { FallbackFilter, FallbackRecords } from '../operations/fallback-records.js';
import type { Terminal } from '../process/command-line.js';
import {
  counted,
  listOf,
  readTime,
  shortTime,
  type Surroundings,
  table,
  wholeNumber,
  withOperations,
} from './command.js';
import type { RetryOptions } from './retry-fallbacks.js';
import type { ShowOptions } from './show-fallback.js';

const MAXIMUM_LIMIT = 10_000;

const NAME = 'the id of a fallback, or the SID of the original message or of its SMS';

export function addFallbacks(program: Command, surroundings: Surroundings): void {
  const fallbacks = program
    .command('fallbacks')
    .summary('list, show and retry SMS fallbacks')
    .description(
      'Lists, shows and retries SMS fallbacks.\n\n' +
        'A retry never sends a second SMS: one that was sent is left alone, and if an SMS may have gone, that is ' +
        'found out first. The service does the sending; this command needs its database only (DATABASE_URL, or .env).',
    )
    .helpCommand(false)
    .addHelpText(
      'after',
      `
Examples:
  npm run fallbacks -- list --state failed,skipped --since 3d
  npm run fallbacks -- show SM…
  npm run fallbacks -- retry --state failed --reason twilio_unavailable --since 3d`,
    );
  addList(fallbacks, surroundings);
  addShow(fallbacks, surroundings);
  addRetry(fallbacks, surroundings);
}

function addList(fallbacks: Command, surroundings: Surroundings): void {
  const command: Command = fallbacks
    .command('list')
    .description('Lists the fallbacks, the newest first.')
    .option('--limit <count>', `how many to list, at most ${MAXIMUM_LIMIT}`, wholeNumber(MAXIMUM_LIMIT), 50)
    .option('--json', 'print JSON', false)
    .option('--numbers', 'whole telephone numbers, instead of their last four digits', false);
  addFilter(command).action((options: Filter & Omit<ListOptions, 'filter'>) =>
    withOperations(surroundings, ({ records }) =>
      listFallbacks({ ...options, filter: filterOf(options) }, records, surroundings.terminal),
    ),
  );
}

function addShow(fallbacks: Command, surroundings: Surroundings): void {
  fallbacks
    .command('show')
    .description('Shows everything about one fallback, with its events.')
    .argument('<name>', NAME)
    .option('--json', 'print JSON', false)
    .option('--numbers', 'whole telephone numbers, instead of their last four digits', false)
    .action((name: string, options: Omit<ShowOptions, 'name'>) =>
      withOperations(surroundings, async ({ records }) => {
        const { showFallback } = await import('./show-fallback.js');
        return showFallback({ ...options, name }, records, surroundings.terminal);
      }),
    );
}

function addRetry(fallbacks: Command, surroundings: Surroundings): void {
  const command: Command = fallbacks
    .command('retry')
    .description(
      'Tries fallbacks again: those that are named, or those of a filter that failed or were skipped.',
    )
    .argument('[name...]', NAME)
    .option('--yes', 'do not ask for confirmation', false)
    .option('--dry-run', 'only show what would be done', false)
    .option(
      '--ignore-age',
      'send the SMS however old the WhatsApp message is (FALLBACK_MAX_AGE_MINUTES)',
      false,
    )
    .option('--json', 'print JSON', false);
  addFilter(command).action((names: string[], options: Filter & Omit<RetryOptions, 'target' | 'by'>) => {
    const target = targetOf(command, names, filterOf(options));
    return withOperations(surroundings, async (operations) => {
      const { retryFallbacks } = await import('./retry-fallbacks.js');
      const by = surroundings.requester;
      return retryFallbacks({ ...options, target, by }, operations, surroundings.terminal);
    });
  });
}

function targetOf(
  command: Command,
  names: readonly string[],
  filter: FallbackFilter,
): RetryOptions['target'] {
  const isFiltered = Object.keys(filter).length > 0;
  if (names.length > 0 && isFiltered) command.error('give names or a filter, not both');
  if (names.length > 0) return { names: [...new Set(names)] };
  if (!isFiltered) command.error('say which to retry: names, or a filter such as --state failed');
  if (filter.states?.includes('sent')) command.error('what was sent is never sent again: --state sent');
  return { filter: { states: ['failed', 'skipped'], ...filter } };
}

interface Filter {
  readonly state?: readonly SmsFallbackState[];
  readonly reason?: readonly string[];
  readonly since?: Date;
  readonly until?: Date;
}

function addFilter(command: Command): Command {
  return command
    .addOption(
      new Option('--state <states>', `${SMS_FALLBACK_STATES.join(', ')}; several with commas`).argParser(
        listOf(SMS_FALLBACK_STATES),
      ),
    )
    .option('--reason <reasons>', 'e.g. twilio_unavailable; several with commas', listOf())
    .option('--since <time>', 'claimed since then: 2026-01-31T10:00Z, or 30m, 2h, 3d, 1w ago', readTime)
    .option('--until <time>', 'claimed before then', readTime);
}

function filterOf({ state, reason, since, until }: Filter): FallbackFilter {
  return {
    ...(state !== undefined && { states: state }),
    ...(reason !== undefined && { reasons: reason }),
    ...(since !== undefined && { since }),
    ...(until !== undefined && { until }),
  };
}

interface ListOptions {
  readonly filter: FallbackFilter;
  readonly limit: number;
  readonly json: boolean;
  readonly numbers: boolean;
}

const COLUMNS = ['id', 'original message', 'state', 'reason', 'code', 'attempts', 'created'];

async function listFallbacks(
  { filter, limit, json, numbers }: ListOptions,
  records: FallbackRecords,
  { print }: Terminal,
): Promise<number> {
  const fallbacks = await records.list(filter, limit);
  if (json) {
    const { fallbackView } = await import('../operations/fallback-view.js');
    print(
      JSON.stringify(
        fallbacks.map((fallback) => fallbackView(fallback, numbers)),
        null,
        2,
      ),
    );
    return 0;
  }
  if (fallbacks.length === 0) {
    print('There is no such fallback.');
    return 0;
  }
  const rows = fallbacks.map((fallback) => [
    fallback.id,
    fallback.originalMessageSid,
    fallback.state,
    fallback.reason ?? '-',
    fallback.lastErrorCode ?? '-',
    String(fallback.attempts),
    shortTime(fallback.createdAt),
  ]);
  print(table(COLUMNS, rows));
  const total = fallbacks.length < limit ? fallbacks.length : await records.count(filter);
  if (total > fallbacks.length) {
    print(`\nThe newest ${fallbacks.length} of ${counted(total, 'fallback')}. --limit shows more.`);
  }
  return 0;
}
