import { Injectable } from '@nestjs/common';
import { And, DataSource, type FindOptionsWhere, In, LessThan, MoreThan, MoreThanOrEqual } from 'typeorm';
import { validate as isUuid } from 'uuid';
import { IS_OPEN, IS_OVERDUE, type SmsFallbackState } from '../fallback/sms-fallback-state.js';
import { SmsFallback } from '../fallback/sms-fallback.entity.js';
import { MessageEvent } from '../message-events/message-event.entity.js';
import { InjectDatabase } from '../process/inject-database.js';

const BATCH = 100;

/** Selects the fallbacks that match every given condition. */
export interface FallbackFilter {
  readonly states?: readonly SmsFallbackState[];
  readonly reasons?: readonly string[];
  /** Claimed at this time or later. */
  readonly since?: Date;
  /** Claimed before this time. */
  readonly until?: Date;
}

/** Reads fallbacks for operators. */
@Injectable()
export class FallbackRecords {
  constructor(@InjectDatabase() private readonly dataSource: DataSource) {}

  /** Lists fallbacks, newest first. */
  list(filter: FallbackFilter, limit: number): Promise<SmsFallback[]> {
    return this.dataSource.manager.find(SmsFallback, {
      where: where(filter),
      order: { createdAt: 'desc', id: 'desc' },
      take: limit,
    });
  }

  count(filter: FallbackFilter): Promise<number> {
    return this.dataSource.manager.countBy(SmsFallback, where(filter));
  }

  /** Counts the open fallbacks that are overdue. Uses sms_fallbacks_open_idx. */
  async countOverdue(): Promise<number> {
    const [row] = await this.dataSource.query<{ overdue: number }[]>(
      `select count(*)::int as overdue from sms_fallbacks where ${IS_OPEN} and ${IS_OVERDUE}`,
    );
    return row?.overdue ?? 0;
  }

  /**
   * Estimates how long waiting jobs take, from the fallbacks that were claimed in the last ten seconds. Uses
   * sms_fallbacks_created_at_idx.
   * @returns seconds; null if none was claimed.
   */
  async secondsToDrain(waitingJobs: number): Promise<number | null> {
    if (waitingJobs === 0) return 0;
    const [row] = await this.dataSource.query<{ claimed: number }[]>(
      `select count(*)::int as claimed from sms_fallbacks where created_at > now() - interval '10 seconds'`,
    );
    const claimed = row?.claimed ?? 0;
    return claimed === 0 ? null : waitingJobs / (claimed / 10);
  }

  /** Yields all ids in batches. A fallback that is added or changes meanwhile may be missed; none comes twice. */
  async *ids(filter: FallbackFilter): AsyncGenerator<string[]> {
    let after: string | undefined;
    for (;;) {
      const rows = await this.dataSource.manager.find(SmsFallback, {
        select: { id: true },
        where: { ...where(filter), ...(after !== undefined && { id: MoreThan(after) }) },
        order: { id: 'asc' },
        take: BATCH,
      });
      if (rows.length > 0) yield rows.map(({ id }) => id);
      if (rows.length < BATCH) return;
      after = rows.at(-1)?.id;
    }
  }

  /** @param name its id, or the SID of the original message or of its SMS. */
  find(name: string): Promise<SmsFallback | null> {
    return this.dataSource.manager.findOne(SmsFallback, {
      where: isUuid(name) ? { id: name } : [{ originalMessageSid: name }, { smsMessageSid: name }],
    });
  }

  /** Returns the events of the original message and of the SMS, in the order of arrival. */
  findEvents({ id, originalMessageSid, smsMessageSid }: SmsFallback): Promise<MessageEvent[]> {
    return this.dataSource.manager.find(MessageEvent, {
      where: [
        { messageSid: originalMessageSid },
        { smsFallbackId: id },
        ...(smsMessageSid === null ? [] : [{ messageSid: smsMessageSid }]),
      ],
      order: { createdAt: 'asc', id: 'asc' },
    });
  }

  /** Returns the SIDs of the original messages that have a fallback. */
  async findClaimed(messageSids: readonly string[]): Promise<Set<string>> {
    const rows = await this.dataSource.query<{ sid: string }[]>(
      'select original_message_sid as sid from sms_fallbacks where original_message_sid = any($1)',
      [messageSids],
    );
    return new Set(rows.map(({ sid }) => sid));
  }
}

function where({ states, reasons, since, until }: FallbackFilter): FindOptionsWhere<SmsFallback> {
  const times = [
    ...(since === undefined ? [] : [MoreThanOrEqual(since)]),
    ...(until === undefined ? [] : [LessThan(until)]),
  ];
  return {
    ...(states !== undefined && { state: In(states) }),
    ...(reasons !== undefined && { reason: In(reasons) }),
    ...(times.length > 0 && { createdAt: And(...times) }),
  };
}
