import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { PeriodicWork } from '../rounds/periodic-work.js';
import { eraseFallbacks, IS_ENDED } from './erase-fallbacks.js';
import { MODULE_OPTIONS_TOKEN, type RetentionModuleOptions } from './retention.module-definition.js';

/** In one statement, so that none keeps others waiting for long. */
const BATCH = 1_000;

/** In one round. */
const BATCHES = 50;

/** Erases the number and the text of fallbacks that have been at an end for RETENTION_DAYS, the oldest first. */
@Injectable()
export class OldFallbacks extends PeriodicWork {
  private readonly retentionDays: number | undefined;

  constructor(
    private readonly dataSource: DataSource,
    @Inject(MODULE_OPTIONS_TOKEN) { retentionDays, intervalMilliseconds = 60_000 }: RetentionModuleOptions,
  ) {
    super({
      intervalMilliseconds: retentionDays === undefined ? 0 : intervalMilliseconds,
      failure: 'Old fallbacks cannot be erased now',
    });
    this.retentionDays = retentionDays;
  }

  /** Replicas may do so at the same time. @throws when the database is away. */
  async runOnce(): Promise<void> {
    let fallbacks = 0;
    for (let batch = 0; batch < BATCHES && !this.signal.aborted; batch += 1) {
      const [row] = await this.dataSource.query<{ erased: number }[]>(ERASE, [this.retentionDays, BATCH]);
      const erased = row?.erased ?? 0;
      fallbacks += erased;
      if (erased < BATCH) break;
    }
    if (fallbacks > 0) this.logger.log('Old fallbacks are erased', { fallbacks });
  }
}

/** By sms_fallbacks_not_erased_idx. An old one that was tried again came to its end later. */
const ERASE = eraseFallbacks(`
  select id from sms_fallbacks
   where erased_at is null and ${IS_ENDED}
     and created_at < now() - $1 * interval '1 day' and updated_at < now() - $1 * interval '1 day'
   order by created_at limit $2
     for update skip locked`);
