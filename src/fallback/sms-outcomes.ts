import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Follower, type LogConsumer, type News } from '../follower/follower.js';
import { DELIVERED_STATUSES } from '../messages/message-status.js';

interface DuplicateDelivery {
  readonly smsFallbackId: string;
  readonly originalMessageSid: string;
  readonly duplicateDeliveryAt: Date;
}

/**
 * Records on fallbacks what the log says of their SMS, and that WhatsApp delivered the original after all, so that the
 * person has the text twice. An SMS that is recorded after its callbacks, or after such a delivery, is followed again.
 */
@Injectable()
export class SmsOutcomes implements LogConsumer, OnModuleInit {
  private readonly logger = new Logger(SmsOutcomes.name);

  constructor(private readonly follower: Follower) {}

  onModuleInit(): void {
    this.follower.register(this);
  }

  async follow(manager: EntityManager, { messageSids }: News): Promise<() => void> {
    await manager.query(RECORD_OUTCOMES, [messageSids, DELIVERED_STATUSES]);
    const duplicates = await manager.query<DuplicateDelivery[]>(RECORD_DUPLICATE_DELIVERIES, [
      messageSids,
      DELIVERED_STATUSES,
    ]);
    return () => {
      for (const duplicate of duplicates) {
        this.logger.warn('WhatsApp delivered the message after its SMS fallback', duplicate);
      }
    };
  }
}

/**
 * The outcome is read from the log as a whole, so the order of its events does not matter; what was recorded from events
 * that are deleted by now stays. Rows are locked in the order of their keys, so that two replicas cannot block each
 * other.
 */
const RECORD_OUTCOMES = `
with fallback as materialized (
  select id, sms_message_sid, sms_delivered_at, sms_undelivered_at, sms_error_code from sms_fallbacks
   where sms_message_sid = any ($1) order by id for update
),
outcome as (
  select fallback.id, coalesce(delivered.at, sms_delivered_at) as delivered_at,
         coalesce(undelivered.at, sms_undelivered_at) as undelivered_at,
         case when undelivered.at is null then sms_error_code else undelivered.error_code end as error_code
    from fallback
   cross join lateral (
     select min(created_at) as at from message_events
      where message_sid = sms_message_sid and message_status = any ($2)
   ) as delivered
    left join lateral (
      select created_at as at, error_code from message_events
       where message_sid = sms_message_sid and message_status in ('failed', 'undelivered')
       order by created_at limit 1
    ) as undelivered on true
)
update sms_fallbacks
   set sms_delivered_at = delivered_at, sms_undelivered_at = undelivered_at, sms_error_code = outcome.error_code
  from outcome
 where sms_fallbacks.id = outcome.id
   and (sms_delivered_at, sms_undelivered_at, sms_error_code) is distinct from
       (delivered_at, undelivered_at, outcome.error_code)`;

/** A fallback in `sending` or `uncertain` may have been sent: its delivery can arrive before that is recorded. */
const RECORD_DUPLICATE_DELIVERIES = `
with fallback as materialized (
  select id, original_message_sid from sms_fallbacks
   where original_message_sid = any ($1) and duplicate_delivery_at is null
     and state in ('sending', 'uncertain', 'sent')
   order by id for update
),
delivered as (
  select fallback.id, min(created_at) as at
    from fallback join message_events on message_sid = original_message_sid
   where message_status = any ($2)
   group by fallback.id
)
update sms_fallbacks set duplicate_delivery_at = delivered.at, updated_at = now()
  from delivered where sms_fallbacks.id = delivered.id
returning sms_fallbacks.id as "smsFallbackId", original_message_sid as "originalMessageSid",
          duplicate_delivery_at as "duplicateDeliveryAt"`;
