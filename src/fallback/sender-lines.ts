import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { InjectDatabase } from '../process/inject-database.js';
import { PeriodicWork } from '../process/periodic-work.js';
import { FallbackStore } from './fallback.store.js';
import { SenderPace } from './sender-pace.js';

/** Shorter than the burst of a sender, so that no SMS of its rate is lost between two rounds. */
const ROUND_MILLISECONDS = 200;

/**
 * Lets waiting fallbacks go at the pace of their senders, in the order of their deadlines. Every process with a worker
 * does this. While nothing waits, it costs one statement per second.
 */
@Injectable()
export class SenderLines extends PeriodicWork {
  constructor(
    @InjectDatabase() private readonly dataSource: DataSource,
    private readonly pace: SenderPace,
    private readonly store: FallbackStore,
  ) {
    super({
      intervalMilliseconds: ROUND_MILLISECONDS,
      failure: 'The SMS that wait for their senders cannot be sent now',
    });
  }

  /** @throws when the database is unreachable. */
  async runOnce(): Promise<void> {
    if (!this.pace.isRefreshDue) return;
    for (const key of await this.pace.refresh()) {
      if (this.signal.aborted) return;
      await this.release(key);
    }
  }

  /** The sender's row is locked until the commit, so replicas share its rate. */
  private async release(key: string): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      const offer = await this.pace.lock(manager, key);
      if (offer === null) return;
      const admitted = await this.store.release(manager, key, offer);
      await this.pace.spend(manager, key, admitted, offer);
    });
  }
}
