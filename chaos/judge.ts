import type { Disturbance } from './database-servers.js';
import { type Evidence, judgeSms } from './findings.js';
import {
  findConnections,
  findJobs,
  findLostCallbacks,
  findStaleMessages,
  findUnlinkedSms,
  readFallbacks,
} from './inspection.js';
import type { Ledger } from './ledger.js';
import type { Load } from './load.js';
import type { Obligations } from './obligations.js';
import type { World } from './world.js';

/** Each replica has two pools of ten, and a connection for /health/ready. */
const CONNECTIONS_OF_TWO_REPLICAS = 42;

/** Findings by kind; a run is good if every list is empty. */
export type Verdict = ReadonlyMap<string, readonly string[]>;

export interface Case {
  readonly world: World;
  readonly load: Load;
  readonly ledger: Ledger;
  readonly obligations: Obligations;
  readonly disturbance: Disturbance;
  /** Periods in which no replica worked. */
  readonly standstills: readonly string[];
  /** Replicas that did not recover after the disturbance. */
  readonly unready: readonly string[];
}

/** Counts from the outside, then stops the replicas and checks what they leave. @returns the verdict and the counts. */
export async function judge({
  world,
  load,
  ledger,
  obligations,
  disturbance,
  standstills,
  unready,
}: Case): Promise<{ verdict: Verdict; evidence: Evidence }> {
  const { database, twilio, ends } = world;
  const lostCallbacks = await findLostCallbacks(database, ledger.acknowledged());
  // Without polling nothing looks for a message that was stored after its last callback.
  const staleMessages = obligations.asksTwilio
    ? await findStaleMessages(database, (sid) => twilio.findMessage(sid)?.status)
    : [];
  const jobs = await findJobs(database);
  const tooManyConnections = await findConnections(database, CONNECTIONS_OF_TWO_REPLICAS);
  const evidence: Evidence = {
    originals: load.messages,
    isTold: (sid) => obligations.isTold(sid),
    sentAt: (sid) => obligations.sentAt(sid),
    callbacks: ledger,
    sms: twilio.messages,
    fallbacks: await readFallbacks(database),
  };
  const sms = judgeSms(evidence);
  const ofDisturbance = await disturbance.verdict();
  await Promise.all(world.replicas.map((replica) => replica.stop()));
  const verdict = new Map<string, readonly string[]>([
    ...ofDisturbance,
    ['callbacks acknowledged and not stored', lostCallbacks],
    ['callbacks answered neither 2xx nor 503', ledger.otherAnswers],
    ['policy failures without their SMS', sms.missingSms],
    ['people with an SMS too many', sms.secondSms],
    ['people with more than one SMS that is not known to have failed', sms.liveSms],
    ['SMS although WhatsApp had delivered', sms.lateSms],
    ['SMS with a wrong text, recipient, sender or account', sms.wrongSms],
    ['policy failures without a fallback', sms.missingFallbacks],
    ['fallbacks that are still open', sms.openFallbacks],
    ['fallbacks that ended wrongly', sms.wrongEnds],
    ['SMS and records that do not fit', sms.unrecordedSms],
    ['messages that do not follow their events', staleMessages],
    ['SMS without their row in messages, or its link', await findUnlinkedSms(database)],
    ['jobs left in the queue', jobs],
    ['standstills of the queue over 25 s', standstills],
    ['replicas that did not recover', unready],
    ['processes that died by themselves', ends.deaths],
    ['stops by SIGTERM that were not clean or took over 10 s', ends.uncleanStops],
    ['database connections beyond the pools', tooManyConnections],
    ['database connections left by stopped replicas', await findConnections(database, 0)],
  ]);
  return { verdict, evidence };
}
