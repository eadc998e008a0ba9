import type { Evidence } from './findings.js';
import type { Verdict } from './judge.js';
import { countKinds } from './kinds.js';
import type { ChaosOptions } from './options.js';
import { expectedSms } from './planned-message.js';
import { line } from './report-line.js';
import type { ChaosRun } from './run-chaos.js';
import type { World } from './world.js';

/** How many cases of each kind are printed; the rest is only counted. */
const PRINTED_CASES = 8;

export interface Outcome {
  readonly options: ChaosOptions;
  readonly world: World;
  readonly run: ChaosRun;
  readonly verdict: Verdict;
  readonly evidence: Evidence;
}

/** The tables at the end of a run. */
export function report({ options, world, run, verdict, evidence }: Outcome): string {
  return [
    '',
    commandOf(options),
    '',
    ...run.disturbance.reportLines(),
    '',
    ...loadLines(world, run),
    '',
    'Kinds',
    ...[...countKinds(evidence)].map(([kind, count]) => line(kind, count)),
    '',
    ...[...verdict].flatMap(verdictLines),
    '',
  ].join('\n');
}

/** Returns the command that repeats the run. */
function commandOf(options: ChaosOptions): string {
  const { mode, seed, minutes, failovers, addresses, messagesPerSecond, pollAfterMinutes } = options;
  const what =
    mode === 'faults'
      ? `--minutes ${minutes}`
      : `--${mode} --failovers ${failovers} --addresses ${addresses}`;
  const poll = pollAfterMinutes === null ? '' : ` --poll-after ${pollAfterMinutes}`;
  return `npm run chaos -- --seed ${seed} ${what} --rate ${messagesPerSecond}${poll}`;
}

function loadLines({ twilio, ends }: World, run: ChaosRun): string[] {
  const { load, ledger, drainMilliseconds } = run;
  const { attempts, policyFailures } = ledger;
  const delays = smsDelays(load.messages, policyFailures, twilio.messages);
  return [
    'Load',
    line('WhatsApp messages', load.messages.size),
    line('… campaigns that were refused', load.storms),
    line('requests with a callback, acknowledged', attempts.acknowledged),
    line('… answered 503', attempts.unavailable),
    line('… not answered', attempts.unanswered),
    line('different statuses acknowledged', ledger.acknowledged().length),
    line('policy failures acknowledged', policyFailures.size),
    line('policy failures learnt only by polling', learntByAsking(run)),
    line('SMS accepted', twilio.messages.length),
    line('seconds from acknowledgement to SMS, median', seconds(delays, 0.5)),
    line('… 99 of 100 are below', seconds(delays, 0.99)),
    line('… the longest', seconds(delays, 1)),
    line('starts refused while the database was unreachable', ends.refusedStarts),
    line('the slowest stop by SIGTERM, seconds', toSeconds(ends.slowestStopMilliseconds)),
    line('draining, seconds', toSeconds(drainMilliseconds)),
  ];
}

function learntByAsking({ obligations, ledger }: ChaosRun): number {
  return obligations.told().filter((sid) => !ledger.policyFailures.has(sid)).length;
}

/** Returns the delays until the person's first SMS, in milliseconds, shortest first. */
function smsDelays(
  originals: ChaosRun['load']['messages'],
  acknowledgedAt: ReadonlyMap<string, number>,
  sms: World['twilio']['messages'],
): number[] {
  const sentAt = new Map(sms.toReversed().map(({ to, dateCreated }) => [to, dateCreated.getTime()]));
  return [...acknowledgedAt]
    .flatMap(([sid, at]) => {
      const original = originals.get(sid);
      const sent = original && expectedSms(original) ? sentAt.get(original.to) : undefined;
      return sent === undefined ? [] : [Math.max(0, sent - at)];
    })
    .sort((left, right) => left - right);
}

function seconds(sorted: readonly number[], share: number): string {
  const index = Math.min(sorted.length - 1, Math.floor(sorted.length * share));
  return toSeconds(sorted[index] ?? 0);
}

function toSeconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(1);
}

function verdictLines([what, cases]: [string, readonly string[]]): string[] {
  const mark = cases.length === 0 ? '✔' : '✖';
  const printed = cases.slice(0, PRINTED_CASES).map((item) => `      ${item}`);
  return [line(`${mark} ${what}`, cases.length).trimEnd(), ...printed];
}
