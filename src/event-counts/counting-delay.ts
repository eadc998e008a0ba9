import type { DataSource } from 'typeorm';

/** The alarm threshold in seconds; normally an event is counted after about 15. */
export const LONGEST_COUNTING_DELAY = 900;

/** Returns the age of the oldest uncounted event in seconds; 0 if all are counted. */
export async function countingDelay(dataSource: DataSource): Promise<number> {
  const [row] = await dataSource.query<{ age: number }[]>(OLDEST_UNCOUNTED);
  return row?.age ?? 0;
}

/** Uses message_events_created_at_idx. */
const OLDEST_UNCOUNTED = `
select extract(epoch from now() - created_at)::float as age from message_events
 where created_at >= (select counted_until from message_event_count_watermark)
 order by created_at limit 1`;
