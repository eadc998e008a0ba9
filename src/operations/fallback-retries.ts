import { ConfigurableModuleBuilder, Inject, Injectable, Module } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import type { FallbackModuleOptions } from '../fallback/fallback.module-definition.js';
import { FallbackStore } from '../fallback/fallback.store.js';
import { MAXIMUM_AGE_MILLISECONDS } from '../fallback/original-age.js';
import { decideRetry, type RetryDecision } from '../fallback/retry-decision.js';
import { listSenderPaces, type SenderPaceView } from '../fallback/sender-pace.js';
import type { SmsFallback } from '../fallback/sms-fallback.entity.js';
import { InjectDatabase } from '../process/inject-database.js';
import { FallbackRecords } from './fallback-records.js';

/** The options of the FallbackModule that reading and retrying fallbacks needs. */
export type FallbackOperationsOptions = Pick<
  FallbackModuleOptions,
  'maximumAgeMilliseconds' | 'smsPerSecond'
>;

export const {
  ConfigurableModuleClass: ConfigurableOperationsModule,
  MODULE_OPTIONS_TOKEN: OPERATIONS_OPTIONS_TOKEN,
} = new ConfigurableModuleBuilder<FallbackOperationsOptions>().setClassMethodName('forRoot').build();

export interface RetriedFallback extends Pick<SmsFallback, 'id' | 'originalMessageSid' | 'smsMessageSid'> {
  readonly decision: RetryDecision;
}

export interface RetryOptions {
  /** Who requests the retry: `key:<name of the API key>`, or `cli:<user>@<host>`. It is kept in the row. */
  readonly by: string;
  /** Sends the SMS however old the original is. */
  readonly ignoreAge?: boolean;
}

/** Retries fallbacks on request. It only puts them back into the state machine; the service does the rest. */
@Injectable()
export class FallbackRetries {
  constructor(
    @InjectDatabase() private readonly dataSource: DataSource,
    private readonly store: FallbackStore,
    @Inject(OPERATIONS_OPTIONS_TOKEN) private readonly options: FallbackOperationsOptions,
  ) {}

  /**
   * Retries the fallbacks in one transaction, so pass a bounded number of ids. Waits and limits of each retried
   * fallback start anew.
   * @returns the decision for each fallback that exists, ordered by id.
   */
  async retry(ids: readonly string[], { by, ignoreAge = false }: RetryOptions): Promise<RetriedFallback[]> {
    return this.dataSource.transaction(async (manager) => {
      const retried = await this.decide(manager, ids, ignoreAge);
      const idsOf = (decision: RetryDecision) =>
        retried.filter((fallback) => fallback.decision === decision).map(({ id }) => id);
      const [claimed, uncertain, due] = [idsOf('claimed_again'), idsOf('settled_first'), idsOf('due_now')];
      await this.store.reopen(manager, 'claimed', claimed, { by, ignoreAge });
      await this.store.reopen(manager, 'uncertain', uncertain, { by, ignoreAge });
      await this.store.makeDue(manager, due, { by, ignoreAge });
      return retried;
    });
  }

  /** Returns what `retry` would decide now. Nothing is changed. */
  async preview(
    ids: readonly string[],
    { ignoreAge = false }: Omit<RetryOptions, 'by'> = {},
  ): Promise<RetriedFallback[]> {
    return this.dataSource.transaction((manager) => this.decide(manager, ids, ignoreAge));
  }

  private async decide(
    manager: EntityManager,
    ids: readonly string[],
    ignoreAge: boolean,
  ): Promise<RetriedFallback[]> {
    const { maximumAgeMilliseconds = MAXIMUM_AGE_MILLISECONDS } = this.options;
    const candidates = await this.store.lockCandidates(
      manager,
      ids,
      ignoreAge ? null : maximumAgeMilliseconds,
    );
    return candidates.map((candidate) => {
      const { id, originalMessageSid, smsMessageSid } = candidate;
      return { id, originalMessageSid, smsMessageSid, decision: decideRetry(candidate) };
    });
  }
}

/** What waits for the pace of its sender, and how long that takes. */
export interface Backlog {
  readonly waiting: number;
  /** Until all of it is sent at the current rates, in seconds; 0 if nothing waits. */
  readonly secondsToDrain: number;
  readonly senders: readonly SenderPaceView[];
}

/** Reads the pace of senders. */
@Injectable()
export class SenderPaces {
  constructor(
    @InjectDatabase() private readonly dataSource: DataSource,
    @Inject(OPERATIONS_OPTIONS_TOKEN) private readonly options: FallbackOperationsOptions,
  ) {}

  async look(): Promise<Backlog> {
    const senders = await listSenderPaces(this.dataSource, this.options.smsPerSecond);
    return {
      waiting: senders.reduce((total, { waiting }) => total + waiting, 0),
      secondsToDrain: Math.max(0, ...senders.map(secondsToDrain)),
      senders,
    };
  }
}

/** A sender that has no rate any more sends all that waits at once. */
function secondsToDrain({ waiting, rate, opensInMilliseconds }: SenderPaceView): number {
  if (waiting === 0) return 0;
  return opensInMilliseconds / 1_000 + (rate === null ? 0 : waiting / rate);
}

/**
 * Reads and retries fallbacks. It sends nothing itself, so it needs no Twilio account. Pass the DomainEventsModule that
 * tells the service what is due, and a MessageEventsModule, in `imports`.
 */
@Module({
  providers: [FallbackRecords, FallbackRetries, FallbackStore, SenderPaces],
  exports: [FallbackRecords, FallbackRetries, SenderPaces],
})
export class FallbackOperationsModule extends ConfigurableOperationsModule {}
