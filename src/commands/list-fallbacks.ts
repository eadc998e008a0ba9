import type { FallbackRecords } from '../fallback/fallback-records.js';
import type { Terminal } from './command.js';
import { fallbackView } from '../fallback/fallback-view.js';
import type { ListOptions } from './fallbacks-options.js';
import { counted, shortTime, table } from './table.js';

const COLUMNS = ['id', 'original message', 'state', 'reason', 'code', 'attempts', 'created'];

export async function listFallbacks(
  { filter, limit, json, numbers }: ListOptions,
  records: FallbackRecords,
  { print }: Terminal,
): Promise<number> {
  const fallbacks = await records.list(filter, limit);
  if (json) {
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
