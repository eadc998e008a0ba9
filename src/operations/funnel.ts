import { fallbackInWords } from '../fallback/fallback-in-words.js';
import { isOpen, type SmsFallbackState } from '../fallback/sms-fallback-state.js';
import type { Statistics } from './statistics-query.js';

/** The number of fallbacks in a bucket with the same outcome. */
export interface OutcomeRow {
  readonly at: Date;
  readonly state: SmsFallbackState;
  readonly reason: string | null;
  readonly errorCode: string | null;
  readonly count: number;
  readonly delivered: number;
}

export function funnelOf(rows: readonly OutcomeRow[]): Statistics['funnel'] {
  const skipped = new Map<string, Statistics['funnel']['skipped'][number]>();
  const failed = new Map<string, Statistics['funnel']['failed'][number]>();
  for (const { state, reason, errorCode, count } of rows) {
    if (reason === null) continue;
    // The meaning covers all fallbacks with this reason; the code stands next to it.
    const meaning = fallbackInWords({ state, reason, lastErrorCode: null });
    if (state === 'skipped') add(skipped, reason, { reason, meaning, count });
    if (state === 'failed')
      add(failed, `${reason} ${errorCode ?? ''}`, { reason, meaning, errorCode, count });
  }
  return {
    ...totals(rows),
    open: sum(rows.filter(({ state }) => isOpen(state))),
    skipped: mostFirst(skipped),
    failed: mostFirst(failed),
  };
}

export function courseOf(rows: readonly OutcomeRow[]): Statistics['course'] {
  const buckets = new Map<number, OutcomeRow[]>();
  for (const row of rows) {
    const at = row.at.getTime();
    buckets.set(at, [...(buckets.get(at) ?? []), row]);
  }
  return [...buckets].map(([at, ofBucket]) => ({
    at: new Date(at),
    ...totals(ofBucket),
    skipped: sum(ofBucket.filter(({ state }) => state === 'skipped')),
    failed: sum(ofBucket.filter(({ state }) => state === 'failed')),
  }));
}

function totals(rows: readonly OutcomeRow[]) {
  return {
    policyFailures: sum(rows),
    smsSent: sum(rows.filter(({ state }) => state === 'sent')),
    smsDelivered: rows.reduce((total, { delivered }) => total + delivered, 0),
  };
}

function sum(rows: readonly OutcomeRow[]): number {
  return rows.reduce((total, { count }) => total + count, 0);
}

function add<Entry extends { count: number }>(entries: Map<string, Entry>, key: string, entry: Entry): void {
  const known = entries.get(key);
  if (known === undefined) entries.set(key, entry);
  else known.count += entry.count;
}

function mostFirst<Entry extends { count: number }>(entries: Map<string, Entry>): Entry[] {
  return [...entries.values()].sort((one, other) => other.count - one.count);
}
