import { Inject, Injectable } from '@nestjs/common';
import { setImmediate } from 'node:timers/promises';
import { type EntityManager, QueryFailedError } from 'typeorm';
import { DomainEventPublisher } from '../domain-events/domain-events.js';
import { GroupCommit, isDataError, sqlStateOf } from '../process/group-commit.js';
import { measured } from '../process/measurements.js';
import {
  MessageEventsStore,
  type PublishingRules,
  type RecordedEvent,
  type SmsLink,
} from './message-events.store.js';
import type { MessageStatusReport } from './message-status-report.js';
import {
  DEFAULT_POLICY_FAILURE_ERROR_CODES,
  isPolicyFailure,
  type MessageEventsModuleOptions,
  MODULE_OPTIONS_TOKEN,
} from './policy-failure.js';

/** The event could not be stored. Nothing was acknowledged, so the reporter should report it again. */
export class EventNotStoredError extends Error {
  override readonly name = 'EventNotStoredError';
}

@Injectable()
export class MessageEventsService {
  private readonly commits: GroupCommit<MessageStatusReport, RecordedEvent>;

  constructor(
    private readonly store: MessageEventsStore,
    @Inject(MODULE_OPTIONS_TOKEN)
    {
      policyFailureErrorCodes = DEFAULT_POLICY_FAILURE_ERROR_CODES,
      statusRecorded,
    }: MessageEventsModuleOptions,
    publisher: DomainEventPublisher,
  ) {
    const errorCodes = new Set(policyFailureErrorCodes);
    const rules: PublishingRules = {
      isPolicyFailure: (report) => isPolicyFailure(report, errorCodes),
      isWatched: (report) =>
        statusRecorded?.(report) === true && publisher.hasListeners('message.status_recorded'),
    };
    this.commits = new GroupCommit(
      async (reports) => {
        const record = () => store.record(reports, rules);
        try {
          // Retry on another connection, which may reach another server. Events that are already stored count as
          // repeats.
          const recorded = await record().catch((error: unknown) => {
            if (!isServersEnd(error)) throw error;
            return record();
          });
          measured('events.committed', { events: reports.length });
          return recorded;
        } catch (error) {
          measured('events.refused', { code: sqlStateOf(error) });
          throw error;
        }
      },
      isDataError,
      { maximumBatch: 250, maximumWaiting: 10_000, beforeCommit: setImmediate },
    );
  }

  /**
   * Stores a report and resolves with the event's id once that is committed; a repeat gets the id of the first. A
   * policy failure is published as `whatsapp.policy_failed` in the same transaction. The message's row in `messages`
   * follows within about a second.
   * @throws EventNotStoredError when the database is unreachable or too many reports wait in memory.
   */
  async record(report: MessageStatusReport): Promise<RecordedEvent> {
    try {
      return await this.commits.add(report);
    } catch (cause) {
      throw new EventNotStoredError('The event could not be stored', { cause });
    }
  }

  /**
   * Resolves when no report waits for its commit, and none is being committed. For work that can wait longer than a
   * callback.
   * @param limit how long it waits at the most, in milliseconds.
   */
  async untilCalm(limit: number): Promise<void> {
    await setImmediate();
    await this.commits.idle(limit);
  }

  /** Stores an event and rolls it back. @throws the error that prevents events from being stored. */
  rehearse(): Promise<void> {
    return this.store.rehearse();
  }

  /**
   * Lets everything that follows the log look at these messages again, after the commit of a transaction: their rows in
   * `messages` were added, or an SMS belongs to a fallback now.
   */
  async followAgain(messageSids: readonly string[], manager?: EntityManager): Promise<void> {
    await this.store.followAgain(messageSids, manager);
  }

  /** Notes on events that caused an SMS the row of that SMS in `messages`. */
  async linkSms(manager: EntityManager, links: readonly SmsLink[]): Promise<void> {
    await this.store.linkSms(manager, links);
  }
}

/**
 * Whether the server can no longer write (25006) or has ended the session, by a shutdown (57P01, 57P02) or without an
 * answer. A passed time limit does not count: there would be no time for another try.
 */
function isServersEnd(error: unknown): boolean {
  if (!(error instanceof QueryFailedError)) return false;
  const { code, message } = error.driverError as { code?: unknown; message: string };
  if (typeof code === 'string') return /^(25006|57P0[12]|08...|ECONNRESET|EPIPE)$/.test(code);
  return /^(Connection terminated|Client has encountered a connection error)/.test(message);
}
