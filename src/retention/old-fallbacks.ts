import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { IS_ENDED } from '../fallback/sms-fallback-state.js';
import { eraseFallbacks } from './erase-fallbacks.js';
import { OldRows } from './old-rows.js';
import { MODULE_OPTIONS_TOKEN, type RetentionModuleOptions } from './retention.module-definition.js';

/** Erases the number and the text of fallbacks that have been at an end for RETENTION_DAYS, the oldest first. */
@Injectable()
export class OldFallbacks extends OldRows {
  constructor(dataSource: DataSource, @Inject(MODULE_OPTIONS_TOKEN) options: RetentionModuleOptions) {
    super(dataSource, options, 'Old fallbacks cannot be erased now');
  }

  /** Replicas may do so at the same time. @throws when the database is away. */
  async runOnce(): Promise<void> {
    const fallbacks = await this.inBatches(ERASE);
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
