import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { DomainEventPublisher } from '../domain-events/domain-events.js';
import { InjectDatabase } from '../process/inject-database.js';
import {
  DEFAULT_POLICY_FAILURE_ERROR_CODES,
  isPolicyFailure,
  type MessageEventsModuleOptions,
  MODULE_OPTIONS_TOKEN,
  type WhatsappPolicyFailed,
  whatsappPolicyFailed,
} from './policy-failure.js';

/**
 * The limit for one statement. Each failure takes a job, and on a slow machine more of them could exceed the
 * statement's time limit.
 */
const BATCH = 200;

/** Lower than every event id. */
const NIL_UUID = '00000000-0000-0000-0000-000000000000';

/** Events that were stored at `since` or later and before `until`. */
export interface ReplayRange {
  readonly since: Date;
  readonly until: Date;
}

interface FailureRow {
  id: string;
  messageSid: string;
  accountSid: string;
  channel: string;
  messageStatus: string;
  errorCode: string;
  toNumber: string | null;
  userId: string | null;
  parentUserId: string | null;
  createdAt: Date;
  /** `created_at` with its microseconds, which a Date does not have. */
  position: string;
}

/** Publishes stored policy failures again, e.g. when their error code was configured only later. */
@Injectable()
export class PolicyFailureReplay {
  readonly errorCodes: readonly string[];

  constructor(
    @InjectDatabase() private readonly dataSource: DataSource,
    private readonly publisher: DomainEventPublisher,
    @Inject(MODULE_OPTIONS_TOKEN) { policyFailureErrorCodes }: MessageEventsModuleOptions,
  ) {
    this.errorCodes = policyFailureErrorCodes ?? DEFAULT_POLICY_FAILURE_ERROR_CODES;
  }

  /**
   * Yields the policy failures of a period in batches, by error code and oldest first. The URL of a callback is not
   * stored, so `callbackUrl` is null.
   */
  async *find({ since, until }: ReplayRange): AsyncGenerator<WhatsappPolicyFailed[]> {
    const counted = new Set(this.errorCodes);
    for (const errorCode of counted) {
      let after = { position: since.toISOString(), id: NIL_UUID };
      for (;;) {
        const rows = await this.findRows(errorCode, after, until);
        const failures = rows.filter((row) => isPolicyFailure(row, counted));
        if (failures.length > 0) yield failures.map(policyFailed);
        const last = rows.at(-1);
        if (last === undefined || rows.length < BATCH) break;
        after = last;
      }
    }
  }

  /** Publishes them, all or none. Listeners get each one again with its original id. */
  async publish(failures: readonly WhatsappPolicyFailed[]): Promise<void> {
    await this.publisher.publish(this.dataSource.manager, 'whatsapp.policy_failed', failures);
  }

  /** Uses the index message_events_failures_idx. */
  private findRows(
    errorCode: string,
    after: Pick<FailureRow, 'position' | 'id'>,
    until: Date,
  ): Promise<FailureRow[]> {
    return this.dataSource.query<FailureRow[]>(
      `select id, message_sid as "messageSid", account_sid as "accountSid", channel, message_status as "messageStatus",
              error_code as "errorCode", to_number as "toNumber", user_id as "userId",
              parent_user_id as "parentUserId", created_at as "createdAt", created_at::text as position
         from message_events
        where message_status in ('failed', 'undelivered') and error_code = $1
          and (created_at, id) > ($2::timestamptz, $3::uuid) and created_at < $4
        order by created_at, id limit ${BATCH}`,
      [errorCode, after.position, after.id, until],
    );
  }
}

function policyFailed(row: FailureRow): WhatsappPolicyFailed {
  return whatsappPolicyFailed(row.id, { ...row, callbackUrl: null }, row.createdAt);
}
