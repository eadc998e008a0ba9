import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { DomainEventPublisher } from '../domain-events/domain-events.js';
import { NEVER_SENT_CODES } from '../message-events/never-sent.js';
import { PeriodicWork } from '../rounds/periodic-work.js';
import { smsFallbackAttemptDue } from './fallback.events.js';
import { type FallbackModuleOptions, MODULE_OPTIONS_TOKEN } from './fallback.module-definition.js';
import { FallbackService } from './fallback.service.js';
import { isOfEarlierAttempt } from './fallback.store.js';
import { IS_OPEN } from './sms-fallback-state.js';
import { SmsMessages } from './sms-messages.js';

/** Rows in one statement. This bounds its time. */
const BATCH = 100;

/**
 * Resumes fallbacks that nothing else would continue:
 * - those that are open and whose time has passed, because their job has used up its attempts or was removed;
 * - those that failed without an answer, and whose SMS has reported itself since;
 * - those whose SMS was never sent, if the report does not name the fallback, e.g. from a Messaging Service's own
 *   callback;
 * - those that were sent, and whose SMS the application's `messages` has refused.
 */
@Injectable()
export class StalledFallbacks extends PeriodicWork {
  constructor(
    private readonly dataSource: DataSource,
    private readonly publisher: DomainEventPublisher,
    private readonly fallbacks: FallbackService,
    private readonly smsMessages: SmsMessages,
    @Inject(MODULE_OPTIONS_TOKEN) options: FallbackModuleOptions,
  ) {
    super({
      intervalMilliseconds: options.intervalMilliseconds ?? 60_000,
      failure: 'Stalled fallbacks cannot be looked for now',
    });
  }

  /** @throws when the database is unreachable. */
  async runOnce(): Promise<void> {
    await this.takeUpAll(OPEN, 'Stalled fallbacks are taken up again');
    await this.takeUpAll(REPORTED, 'Failed fallbacks whose SMS was sent after all are taken up again');
    await this.resendNeverSent();
    await this.smsMessages.addRefused();
  }

  private async resendNeverSent(): Promise<void> {
    const found = await this.dataSource.query<{ smsFallbackId: string; messageSid: string }[]>(NEVER_SENT, [
      BATCH,
      NEVER_SENT_CODES,
    ]);
    for (const sms of found) await this.fallbacks.resend(sms);
  }

  private async takeUpAll(stalled: string, message: string): Promise<void> {
    let taken: number;
    do {
      taken = await this.takeUp(stalled);
      if (taken > 0) this.logger.warn(message, { fallbacks: taken });
    } while (taken === BATCH && !this.signal.aborted);
  }

  /** Replicas that look at the same time share the fallbacks. */
  private async takeUp(stalled: string): Promise<number> {
    return this.dataSource.transaction(async (manager) => {
      const taken = await manager.query<{ id: string }[]>(stalled, [BATCH]);
      const events = taken.map(({ id }) => smsFallbackAttemptDue(id, new Date()));
      if (events.length > 0) await this.publisher.publish(manager, 'sms_fallback.attempt_due', events);
      return events.length;
    });
  }
}

/** @param stalled selects at most $1 ids and locks them. */
const takeUp = (stalled: string) => `
with stalled as (${stalled}),
taken_up as (
  update sms_fallbacks
     set state = case state when 'failed' then 'uncertain' else state end, next_attempt_at = now(), updated_at = now()
    from stalled where sms_fallbacks.id = stalled.id
  returning sms_fallbacks.id
)
select id from taken_up`;

/**
 * A job that failed a few times waits a few minutes; a fallback counts as stalled only after that. The gaps grow with
 * its age, so that a fallback that always fails does not fill the queue.
 */
const OPEN = takeUp(`
  select id from sms_fallbacks
   where ${IS_OPEN}
     and next_attempt_at < now() - interval '10 minutes'
     and next_attempt_at < now() - least((now() - coalesce(retried_at, created_at)) / 4, interval '1 hour')
     and (locked_until is null or locked_until < now())
   order by next_attempt_at limit $1
     for update skip locked`);

/** The callback of an SMS that another fallback has taken proves nothing; an erased one no longer has a text. */
const REPORTED = takeUp(`
  select id from sms_fallbacks
   where state = 'failed' and reason = 'no_answer_from_twilio' and updated_at > now() - interval '2 days'
     and erased_at is null
     and exists (
       select from message_events as reported
        where reported.sms_fallback_id = sms_fallbacks.id and not ${isOfEarlierAttempt('message_sid')}
          and not exists (select from sms_fallbacks as other where other.sms_message_sid = reported.message_sid)
     )
   order by updated_at limit $1
     for update skip locked`);

/** Event counting records the failure of an SMS by its SID; sms_fallbacks_undelivered_idx has those few rows. */
const NEVER_SENT = `
select id as "smsFallbackId", sms_message_sid as "messageSid" from sms_fallbacks
 where sms_undelivered_at is not null and sms_delivered_at is null and state = 'sent'
   and sms_error_code = any ($2::text[]) and sms_undelivered_at > now() - interval '2 days'
 order by created_at desc limit $1`;
