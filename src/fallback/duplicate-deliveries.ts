import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { PeriodicWork } from '../rounds/periodic-work.js';
import { type FallbackModuleOptions, MODULE_OPTIONS_TOKEN } from './fallback.module-definition.js';

/** Fallbacks that one statement looks at. This bounds the time of the statement. */
const LOOKED_AT_ROWS = 1_000;

interface DuplicateDelivery {
  smsFallbackId: string;
  originalMessageSid: string;
  duplicateDeliveryAt: Date;
}

/** The position from which the next look continues. */
interface Position {
  readonly createdAt: string;
  readonly id: string;
}

interface Look {
  readonly position: Position | null;
  readonly recorded: readonly DuplicateDelivery[];
}

/**
 * Records on a fallback that WhatsApp delivered the original after all, so that the person has the text twice. It reads
 * the fallbacks instead of listening to the events: fallbacks are few, and callbacks are not slowed down.
 */
@Injectable()
export class DuplicateDeliveries extends PeriodicWork {
  constructor(
    private readonly dataSource: DataSource,
    @Inject(MODULE_OPTIONS_TOKEN) options: FallbackModuleOptions,
  ) {
    super({
      intervalMilliseconds: options.intervalMilliseconds ?? 60_000,
      failure: 'Duplicate deliveries cannot be looked for now',
    });
  }

  /**
   * Looks at every fallback that was started or retried within two days. Replicas may do so at the same time: one of
   * them records the delivery.
   * @throws when the database is unreachable.
   */
  async runOnce(): Promise<void> {
    let position: Position | null = { createdAt: '-infinity', id: '00000000-0000-0000-0000-000000000000' };
    while (position !== null && !this.signal.aborted) {
      const look: Look = await this.look(position);
      for (const duplicate of look.recorded) {
        this.logger.warn('WhatsApp delivered the message after its SMS fallback', duplicate);
      }
      position = look.position;
    }
  }

  private async look({ createdAt, id }: Position): Promise<Look> {
    const [look] = await this.dataSource.query<Look[]>(RECORD_DUPLICATE_DELIVERIES, [
      createdAt,
      id,
      LOOKED_AT_ROWS,
    ]);
    return look ?? { position: null, recorded: [] };
  }
}

/** A fallback in `sending` or `uncertain` may have been sent: its delivery can arrive before that is recorded. */
const RECORD_DUPLICATE_DELIVERIES = `
with young as (
  (
    select id, original_message_sid, created_at from sms_fallbacks
    where (created_at, id) > (greatest($1::timestamptz, now() - interval '2 days'), $2::uuid)
      and duplicate_delivery_at is null and state in ('sending', 'uncertain', 'sent')
    order by created_at, id limit $3
  )
  union
  select id, original_message_sid, created_at from sms_fallbacks
  where retried_at > now() - interval '2 days' and (created_at, id) > ($1::timestamptz, $2::uuid)
    and duplicate_delivery_at is null and state in ('sending', 'uncertain', 'sent')
),
candidates as (
  select * from young order by created_at, id limit $3
),
delivered as (
  select candidates.id, min(message_events.created_at) as at
  from candidates join message_events on message_sid = original_message_sid
  where message_status in ('delivered', 'read')
  group by candidates.id
),
recorded as (
  update sms_fallbacks set duplicate_delivery_at = delivered.at, updated_at = now()
  from delivered where sms_fallbacks.id = delivered.id and duplicate_delivery_at is null
  returning sms_fallbacks.id, original_message_sid, duplicate_delivery_at
)
select
  (
    select json_build_object('createdAt', created_at, 'id', id) from candidates
    where (select count(*) from candidates) = $3 order by created_at desc, id desc limit 1
  ) as position,
  coalesce(
    (
      select json_agg(json_build_object(
        'smsFallbackId', id, 'originalMessageSid', original_message_sid, 'duplicateDeliveryAt', duplicate_delivery_at
      )) from recorded
    ),
    '[]'
  ) as recorded`;
