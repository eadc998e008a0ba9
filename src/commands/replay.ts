import type { Command } from 'commander';
import type { ReplayRange } from '../message-events/policy-failure-replay.js';
import type { Terminal } from '../process/command-line.js';
import { counted, readTime, shortTime, type Surroundings, withOperations } from './command.js';
import type { Operations } from './operations.js';

/** The options of `npm run replay`. */
interface ReplayOptions {
  readonly range: ReplayRange;
  readonly dryRun: boolean;
}

interface ReplayArguments {
  readonly since: Date;
  readonly until?: Date;
  readonly dryRun: boolean;
}

export function addReplay(program: Command, surroundings: Surroundings): void {
  const command: Command = program
    .command('replay')
    .summary('publish stored policy failures again')
    .description(
      'Publishes stored policy failures again, e.g. after a code was added to FALLBACK_ERROR_CODES.\n\n' +
        'A message that has a fallback keeps it, so no second SMS is sent. One without a fallback gets its SMS, unless it ' +
        'is older than FALLBACK_MAX_AGE_MINUTES: then its fallback is skipped as too_late. The service does the sending; ' +
        'this command needs its database and FALLBACK_ERROR_CODES only.',
    )
    .requiredOption(
      '--since <time>',
      'events stored since then: 2026-01-31T10:00Z, or 30m, 2h, 3d, 1w ago',
      readTime,
    )
    .option('--until <time>', 'events stored before then; default: now', readTime)
    .option('--dry-run', 'only count them', false)
    .addHelpText('after', '\nExample: npm run replay -- --since 2h --dry-run');
  command.action(({ since, until = new Date(), dryRun }: ReplayArguments) => {
    if (since >= until) command.error('--since is not before --until');
    return withOperations(surroundings, (operations) =>
      replay({ range: { since, until }, dryRun }, operations, surroundings.terminal),
    );
  });
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
      // The fallback may be claimed as soon as the first event is published.
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
  if (total === 0) return 'No policy failures found.';
  return [
    `${counted(withFallback, 'message')} had a fallback already: nothing changes for ${withFallback === 1 ? 'it' : 'them'}.`,
    `${counted(withoutFallback, 'message')} had none: ${dryRun ? 'it would be started' : 'the running service starts it'}.`,
    ...(dryRun ? ['A dry run: nothing was published.'] : []),
  ].join('\n');
}
