import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { IS_ENDED } from '../fallback/sms-fallback-state.js';
import { eraseFallbacks } from './erase-fallbacks.js';
import { OldRows } from './old-rows.js';
import { MODULE_OPTIONS_TOKEN, type RetentionModuleOptions } from './retention.module-definition.js';

/** Erases the number and the text of fallbacks that ended more than RETENTION_DAYS ago, oldest first. */
@Injectable()
export class OldFallbacks extends OldRows {
  constructor(dataSource: DataSource, @Inject(MODULE_OPTIONS_TOKEN) options: RetentionModuleOptions) {
    super(dataSource, options, 'Old fallbacks cannot be erased now');
  }

  /** Safe to run on several replicas at once. @throws if the database is down. */
  async runOnce(): Promise<void> {
    const fallbacks = await this.inBatches(ERASE);
    if (fallbacks > 0) this.logger.log('Old fallbacks are erased', { fallbacks });
  }
}

/** Uses sms_fallbacks_not_erased_idx. Also checks updated_at: a fallback that was retried ended later. */
const ERASE = eraseFallbacks(`
  select id from sms_fallbacks
   where erased_at is null and ${IS_ENDED}
     and created_at < now() - $1 * interval '1 day' and updated_at < now() - $1 * interval '1 day'
   order by created_at limit $2
     for update skip locked`);
