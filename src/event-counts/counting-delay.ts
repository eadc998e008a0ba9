import type { DataSource } from 'typeorm';

/** From this on somebody should look at it, in seconds; ordinarily an event is counted after some 15. */
export const LONGEST_COUNTING_DELAY = 900;

/** How old the oldest event is that is not counted, in seconds; 0 where all are. */
export async function countingDelay(dataSource: DataSource): Promise<number> {
  const [row] = await dataSource.query<{ age: number }[]>(OLDEST_UNCOUNTED);
  return row?.age ?? 0;
}

/** By message_events_created_at_idx. */
const OLDEST_UNCOUNTED = `
select extract(epoch from now() - created_at)::float as age from message_events
 where created_at >= (select counted_until from message_event_count_watermark)
 order by created_at limit 1`;
