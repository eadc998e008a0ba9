import { Injectable, Logger } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { stringifyExactly } from '../message-events/exact-json.js';
import { EventNotStoredError } from '../message-events/message-events.service.js';
import { InjectDatabase } from '../process/inject-database.js';

/** The number of rows kept. With at most 64 KiB each, the table stays under 640 MiB. */
const KEPT = 10_000;

/** The SQL of `rejected_callbacks`. */
@Injectable()
export class RejectedCallbacksStore {
  private readonly logger = new Logger(RejectedCallbacksStore.name);

  constructor(@InjectDatabase() private readonly dataSource: DataSource) {}

  /** @throws EventNotStoredError when the database is unreachable. */
  async keep(reason: string, payload: object): Promise<void> {
    try {
      const [row] = await this.dataSource.query<{ id: string }[]>(
        `with kept as (insert into rejected_callbacks (reason, payload) values ($1, $2) returning id),
              dropped as (delete from rejected_callbacks where id <= (select id from kept) - $3)
         select id from kept`,
        [reason, stringifyExactly(payload), KEPT],
      );
      this.logger.warn('⚠️ [WEBHOOK] Callback rejected and kept in rejected_callbacks', {
        id: row?.id,
        reason,
      });
    } catch (error) {
      throw new EventNotStoredError('The rejected callback could not be stored', { cause: error });
    }
  }
}

/** Returns the statement that erases what callbacks said. @param found a query for ids, which locks their rows. */
export function eraseRejectedCallbacks(found: string): string {
  return `
with found as (
  ${found.trim()}
),
erased as (
  update rejected_callbacks set payload = '{"erased": true}'
    from found where rejected_callbacks.id = found.id
  returning found.id
)
select count(*)::int as rows from erased`;
}

/** Returns the statement that deletes rejected callbacks. @param found a query for ids. */
export function deleteRejectedCallbacks(found: string): string {
  return `
with deleted as (delete from rejected_callbacks where id in (${found}) returning id)
select count(*)::int as rows from deleted`;
}
