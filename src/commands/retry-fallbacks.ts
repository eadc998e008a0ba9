import { retryInWords } from '../fallback/fallback-reasons.js';
import type { RetryDecision } from '../fallback/retry-decision.js';
import type { FallbackFilter } from '../operations/fallback-records.js';
import type { RetriedFallback } from '../operations/fallback-retries.js';
import { hasConsent, type Terminal } from '../process/command-line.js';
import { counted } from './command.js';
import type { Operations } from './operations.js';
import { noFallback } from './show-fallback.js';

export interface RetryOptions {
  /** Named fallbacks, or those that match a filter. */
  readonly target: { readonly names: readonly string[] } | { readonly filter: FallbackFilter };
  readonly yes: boolean;
  readonly dryRun: boolean;
  /** Sends the SMS however old the WhatsApp message is. */
  readonly ignoreAge: boolean;
  readonly json: boolean;
  /** The requester. */
  readonly by: string;
}

type Retry = Pick<Operations, 'records' | 'retries'>;
type Tally = ReadonlyMap<RetryDecision, number>;

/** Decisions that give the service work to do. */
const EFFECTIVE: readonly RetryDecision[] = ['claimed_again', 'settled_first', 'due_now'];

/** Decisions that refuse the requested SMS. */
const REFUSED: readonly RetryDecision[] = ['opted_out', 'recipient_rejected', 'erased', 'too_late'];

const THE_SERVICE_DOES_IT = 'The running service does it; if none is running, it happens at the next start.';

export function retryFallbacks(
  options: RetryOptions,
  operations: Retry,
  terminal: Terminal,
): Promise<number> {
  return 'names' in options.target
    ? retryNamed(options.target.names, options, operations, terminal)
    : retryMatching(options.target.filter, options, operations, terminal);
}

async function retryNamed(
  names: readonly string[],
  { dryRun, json, ignoreAge, by }: RetryOptions,
  { records, retries }: Retry,
  { print, complain }: Terminal,
): Promise<number> {
  const retried: RetriedFallback[] = [];
  for (const name of names) {
    const fallback = await records.find(name);
    if (fallback === null) complain(`✖ ${noFallback(name)}`);
    else retried.push(...(await retries[dryRun ? 'preview' : 'retry']([fallback.id], { ignoreAge, by })));
  }
  if (json) {
    print(JSON.stringify(retried, null, 2));
  } else {
    for (const { originalMessageSid, smsMessageSid, decision } of retried) {
      const sms = smsMessageSid === null ? '' : ` (${smsMessageSid})`;
      print(`${originalMessageSid}  ${retryInWords(decision)}${sms}`);
    }
    if (retried.length > 0) print(conclusion(dryRun, tallyOf(retried)));
  }
  const isRefused = retried.some(({ decision }) => REFUSED.includes(decision));
  return retried.length === names.length && !isRefused ? 0 : 1;
}

async function retryMatching(
  filter: FallbackFilter,
  { dryRun, json, yes, ...options }: RetryOptions,
  operations: Retry,
  terminal: Terminal,
): Promise<number> {
  const expected = await tally(operations, filter, 'preview', options);
  const effective = effectiveIn(expected);
  if (!json) terminal.print(inWords(expected));
  if (!dryRun && !yes && effective > 0) {
    const { confirm, complain } = terminal;
    // A prompt would corrupt the JSON.
    const asked = json ? { complain } : { confirm, complain };
    if (!(await hasConsent(`Try ${counted(effective, 'fallback')} again?`, asked))) return 1;
  }
  const done = dryRun ? expected : await tally(operations, filter, 'retry', options);
  if (json) terminal.print(JSON.stringify({ dryRun, decisions: Object.fromEntries(done) }, null, 2));
  else terminal.print(conclusion(dryRun, done));
  return 0;
}

async function tally(
  { records, retries }: Retry,
  filter: FallbackFilter,
  method: 'preview' | 'retry',
  { ignoreAge, by }: Pick<RetryOptions, 'ignoreAge' | 'by'>,
): Promise<Tally> {
  const counts = new Map<RetryDecision, number>();
  for await (const ids of records.ids(filter)) {
    const retried = await retries[method](ids, { ignoreAge, by });
    for (const [decision, count] of tallyOf(retried))
      counts.set(decision, (counts.get(decision) ?? 0) + count);
  }
  return counts;
}

function tallyOf(retried: readonly RetriedFallback[]): Tally {
  const counts = new Map<RetryDecision, number>();
  for (const { decision } of retried) counts.set(decision, (counts.get(decision) ?? 0) + 1);
  return counts;
}

function effectiveIn(counts: Tally): number {
  return EFFECTIVE.reduce((sum, decision) => sum + (counts.get(decision) ?? 0), 0);
}

function inWords(counts: Tally): string {
  if (counts.size === 0) return 'There is no such fallback.';
  const width = Math.max(...[...counts.values()].map((count) => String(count).length));
  return [...counts]
    .map(([decision, count]) => `${String(count).padStart(width)}  ${retryInWords(decision)}`)
    .join('\n');
}

function conclusion(dryRun: boolean, counts: Tally): string {
  if (dryRun) return 'A dry run: nothing was changed.';
  const effective = effectiveIn(counts);
  return effective === 0
    ? 'Nothing was changed.'
    : `${counted(effective, 'fallback')} to be tried again. ${THE_SERVICE_DOES_IT}`;
}
