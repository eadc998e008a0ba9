import { parseArguments, UsageError } from '../simulator/command-line.js';

/**
 * How the service reaches the servers: one address, both hosts with `target_session_attrs`, or one of each for a
 * replica.
 */
export type Addresses = (typeof ADDRESSES)[number];

const ADDRESSES = ['proxy', 'hosts', 'both'] as const;

export interface ChaosOptions {
  /** The kind of disturbance. */
  readonly mode: 'faults' | 'failover' | 'patroni';
  /** How many times the primary is replaced, if that is the disturbance. */
  readonly failovers: number;
  readonly addresses: Addresses;
  /** Decides the schedule of faults. */
  readonly seed: number;
  /** How long load and faults last, without the draining; failovers take as long as they need. */
  readonly minutes: number;
  readonly messagesPerSecond: number;
  /** STATUS_POLL_AFTER_MINUTES of the service; null: it does not poll, and no callback is dropped. */
  readonly pollAfterMinutes: number | null;
  /** How long the queue may take to drain. */
  readonly drainMinutes: number;
  /** Keeps the logs even after a good run. */
  readonly keep: boolean;
}

export const usage = `Runs the compiled service while its processes, its database and Twilio fail, then counts every deviation.

  npm run chaos -- [options]

  --seed N         seed of the fault schedule; default 1
  --minutes M      minutes of load and faults; default 2
  --rate R         WhatsApp messages a second; default 30
  --poll-after P   STATUS_POLL_AFTER_MINUTES of the service; also drops callbacks
  --drain D        minutes that the queue may take to drain; default 5
  --keep           keep the logs even after a good run

To replace the primary by its synchronous standby repeatedly, instead of these faults:

  --failover       kills the primary, promotes the standby, and makes the old primary the next standby (pg_rewind)
  --patroni        the same, done by a real cluster: needs Patroni, etcd and HAProxy
  --failovers N    number of failovers; default 20, or 6 with --patroni
  --addresses A    proxy: one address, which leads to the old primary for a while; hosts: both servers in DATABASE_URL,
                   with target_session_attrs=read-write; both: one replica for each way (default)

Exit codes: 0 every count is 0, 1 a count is not 0, 2 wrong usage or the run could not be made.
`;

/** @throws UsageError naming what is wrong with the arguments. @returns undefined if help was requested. */
export function readOptions(args: readonly string[]): ChaosOptions | undefined {
  const { values } = parseArguments({
    args: [...args],
    options: {
      seed: { type: 'string', default: '1' },
      minutes: { type: 'string', default: '2' },
      rate: { type: 'string', default: '30' },
      'poll-after': { type: 'string' },
      drain: { type: 'string', default: '5' },
      failover: { type: 'boolean', default: false },
      patroni: { type: 'boolean', default: false },
      failovers: { type: 'string' },
      addresses: { type: 'string', default: 'both' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  const pollAfter = values['poll-after'];
  const mode = modeOf(values);
  return {
    mode,
    failovers: numberOf('--failovers', values.failovers ?? (mode === 'patroni' ? '6' : '20'), 1000),
    addresses: addressesOf(values.addresses),
    seed: Math.trunc(numberOf('--seed', values.seed, 2 ** 31)),
    minutes: numberOf('--minutes', values.minutes, 24 * 60),
    messagesPerSecond: numberOf('--rate', values.rate, 200),
    pollAfterMinutes: pollAfter === undefined ? null : numberOf('--poll-after', pollAfter, 60),
    drainMinutes: numberOf('--drain', values.drain, 60),
    keep: values.keep,
  };
}

function modeOf({ failover, patroni }: { failover: boolean; patroni: boolean }): ChaosOptions['mode'] {
  if (failover && patroni) throw new UsageError('--failover and --patroni exclude each other');
  if (patroni) return 'patroni';
  return failover ? 'failover' : 'faults';
}

function addressesOf(text: string): Addresses {
  const addresses = ADDRESSES.find((each) => each === text);
  if (addresses !== undefined) return addresses;
  throw new UsageError(`--addresses is ${ADDRESSES.join(', ')}, not ${text}`);
}

function numberOf(name: string, text: string, most: number): number {
  const value = Number(text);
  if (value > 0 && value <= most) return value;
  throw new UsageError(`${name} is a number above 0 and up to ${most}, not ${text}`);
}
