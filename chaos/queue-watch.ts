import { setTimeout as delay } from 'node:timers/promises';
import type { World } from './world.js';

const LOOK_MILLISECONDS = 1_000;

/**
 * A worker waits up to 10 s for Twilio, and takes up to 5 s to notice a lost database. If nothing is done for longer
 * than both while a replica and PostgreSQL are up, that is a standstill.
 */
const STANDSTILL_MILLISECONDS = 25_000;

/** Finds periods with work and a running replica in which nothing is done. */
export class QueueWatch {
  readonly standstills: string[] = [];

  constructor(private readonly world: World) {}

  async run(until: AbortSignal): Promise<void> {
    let before = '';
    let since = Date.now();
    while (!until.aborted) {
      const { due, done } = await this.#look();
      const excuse = due === 0 || this.world.postgres.wasAwaySince(since) || !this.#someReplicaUpSince(since);
      // SMS that Twilio does not answer, or answers with an error, are work too.
      const progress = `${String(done)} ${String(this.world.creates)}`;
      if (excuse || progress !== before) since = Date.now();
      else if (Date.now() - since > STANDSTILL_MILLISECONDS) {
        const seconds = (STANDSTILL_MILLISECONDS / 1000).toFixed(0);
        this.standstills.push(`${String(due)} jobs waited ${seconds} s until ${new Date().toISOString()}`);
        since = Date.now();
      }
      before = progress;
      await delay(LOOK_MILLISECONDS, undefined, { signal: until }).catch(() => undefined);
    }
  }

  #someReplicaUpSince(time: number): boolean {
    return this.world.replicas.some(({ upSince }) => upSince !== null && upSince <= time);
  }

  async #look(): Promise<{ due: number; done: number }> {
    const [row] = await this.world.database.query<{ due: number; done: number }>(
      `select (select count(*) from whatsapp_sms_fallback_queue.jobs where locked_at is null and run_at < now())::int as due,
              count(*) filter (where state in ('sent', 'skipped', 'failed'))::int as done
         from sms_fallbacks`,
    );
    return row ?? { due: 0, done: 0 };
  }
}
