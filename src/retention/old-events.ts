import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { IS_OPEN } from '../fallback/sms-fallback-state.js';
import { OldRows } from './old-rows.js';
import { MODULE_OPTIONS_TOKEN, type RetentionModuleOptions } from './retention.module-definition.js';

/**
 * Deletes events and rejected callbacks that are older than RETENTION_DAYS, oldest first. Events are counted before
 * they are deleted, so that statistics stay: without a running follower, none is deleted.
 */
@Injectable()
export class OldEvents extends OldRows {
  constructor(dataSource: DataSource, @Inject(MODULE_OPTIONS_TOKEN) options: RetentionModuleOptions) {
    super(dataSource, options, 'Old events cannot be deleted now');
  }

  /** Safe to run on several replicas at once. @throws if the database is down. */
  async runOnce(): Promise<void> {
    const events = await this.inBatches(DELETE_EVENTS);
    if (!this.signal.aborted) await this.once(DELETE_REJECTED_CALLBACKS);
    if (events > 0) this.logger.log('Old events are deleted', { events });
  }
}

/**
 * Uses message_events_created_at_idx. Keeps the events of open fallbacks: those of the original decide whether a retry
 * is right, and those of the SMS identify it.
 */
const DELETE_EVENTS = `
with old as (
  select id from message_events as event
   where created_at < now() - $1 * interval '1 day'
     and not exists (select from message_event_outbox as outbox where outbox.id = event.id and not counted)
     and not exists (
       select from sms_fallbacks
        where original_message_sid = event.message_sid and ${IS_OPEN}
     )
     and not exists (
       select from sms_fallbacks
        where sms_fallbacks.id = event.sms_fallback_id and ${IS_OPEN}
     )
   order by created_at limit $2
     for update skip locked
),
deleted as (
  delete from message_events using old where message_events.id = old.id returning old.id
)
select count(*)::int as rows from deleted`;

/** The table has at most 10,000 rows. */
const DELETE_REJECTED_CALLBACKS = `
with deleted as (
  delete from rejected_callbacks
   where id in (select id from rejected_callbacks where created_at < now() - $1 * interval '1 day' order by id limit $2)
  returning id
)
select count(*)::int as rows from deleted`;
