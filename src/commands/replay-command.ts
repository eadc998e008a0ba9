import type { ReplayRange } from '../message-events/policy-failure-replay.js';
import { readArguments, readTime } from './arguments.js';
import { type Command, type Terminal, UsageError } from './command.js';
import type { Operations } from './operations.js';
import { counted, shortTime } from './table.js';

/** What `npm run replay` was asked to do. */
export interface ReplayOptions {
  readonly range: ReplayRange;
  readonly dryRun: boolean;
}

const usage = `Publishes stored policy failures again, e.g. after a code was added to FALLBACK_ERROR_CODES.

  npm run replay -- --since <time> [--until <time>] [--dry-run]

  --since     events stored since then: 2026-01-31T10:00Z, or 30m, 2h, 3d, 1w ago  (required)
  --until     events stored before then; default: now
  --dry-run   only says how many there are

A message that has a fallback keeps it, so no second SMS is sent. One without a fallback gets its SMS, unless it is older
than FALLBACK_MAX_AGE_MINUTES: then its fallback is skipped as too_late. The service does the sending; this command needs its database and FALLBACK_ERROR_CODES only.
Exit codes: 0 done, 1 not done, 2 not understood.`;

const flags = {
  since: { type: 'string' },
  until: { type: 'string' },
  'dry-run': { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h' },
} as const;

export const replayCommand: Command<ReplayOptions> = { usage, parse: readReplayOptions, run: replay };

function readReplayOptions(args: readonly string[]): ReplayOptions | undefined {
  const { values, positionals } = readArguments(args, flags);
  if (values.help === true) return undefined;
  if (positionals.length > 0) throw new UsageError(`${positionals.join(' ')} is too much: name --since`);
  if (values.since === undefined) throw new UsageError('--since is missing, e.g. --since 2h');
  const range = {
    since: readTime('--since', values.since),
    until: values.until === undefined ? new Date() : readTime('--until', values.until),
  };
  if (range.since >= range.until) throw new UsageError('--since is not before --until');
  return { range, dryRun: values['dry-run'] };
}

async function replay(
  { range, dryRun }: ReplayOptions,
  { policyFailures, records }: Operations,
  terminal: Terminal,
): Promise<number> {
  const { since, until } = range;
  terminal.print(
    `Policy failures (${policyFailures.errorCodes.join(', ')}) from ${shortTime(since)} to ${shortTime(until)}`,
  );
  let total = 0;
  const withFallback = new Set<string>();
  const withoutFallback = new Set<string>();
  for await (const failures of policyFailures.find(range)) {
    const claimed = await records.findClaimed(failures.map(({ messageSid }) => messageSid));
    for (const { messageSid } of failures) {
      // Its fallback may be claimed as soon as the first of its events is published.
      if (claimed.has(messageSid) && !withoutFallback.has(messageSid)) withFallback.add(messageSid);
      else withoutFallback.add(messageSid);
    }
    if (!dryRun) await policyFailures.publish(failures);
    total += failures.length;
    const last = failures.at(-1)?.occurredAt ?? '';
    terminal.print(
      `  ${counted(total, 'event')}${dryRun ? '' : ' published'}, up to ${shortTime(new Date(last))}`,
    );
  }
  terminal.print(conclusion(dryRun, total, withFallback.size, withoutFallback.size));
  return 0;
}

function conclusion(dryRun: boolean, total: number, withFallback: number, withoutFallback: number): string {
  if (total === 0) return 'There is none.';
  return [
    `${counted(withFallback, 'message')} had a fallback already: nothing changes for ${withFallback === 1 ? 'it' : 'them'}.`,
    `${counted(withoutFallback, 'message')} had none: ${dryRun ? 'it would be started' : 'the running service starts it'}.`,
    ...(dryRun ? ['A dry run: nothing was published.'] : []),
  ].join('\n');
}
