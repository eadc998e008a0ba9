import { Inject, Injectable } from '@nestjs/common';
import { setImmediate } from 'node:timers/promises';
import { QueryFailedError } from 'typeorm';
import { measured } from '../measurements/measurements.js';
import { GroupCommit } from './group-commit.js';
import { MessageLinks } from './message-links.js';
import { MODULE_OPTIONS_TOKEN, type MessageEventsModuleOptions } from './message-events.module-definition.js';
import { MessageEventsStore, type RecordedEvent, type StoredEvent } from './message-events.store.js';
import type { MessageStatusReport } from './message-status-report.js';
import { DEFAULT_POLICY_FAILURE_ERROR_CODES, isPolicyFailure } from './policy-failure.js';

/** The event could not be stored. Nothing was acknowledged, so whoever reported it should report it again. */
export class EventNotStoredError extends Error {
  override readonly name = 'EventNotStoredError';
}

@Injectable()
export class MessageEventsService {
  private readonly commits: GroupCommit<MessageStatusReport, StoredEvent>;

  constructor(
    private readonly store: MessageEventsStore,
    private readonly messageLinks: MessageLinks,
    @Inject(MODULE_OPTIONS_TOKEN)
    { policyFailureErrorCodes = DEFAULT_POLICY_FAILURE_ERROR_CODES }: MessageEventsModuleOptions,
  ) {
    const errorCodes = new Set(policyFailureErrorCodes);
    this.commits = new GroupCommit(
      async (reports) => {
        const record = () => store.record(reports, (report) => isPolicyFailure(report, errorCodes));
        try {
          // By another connection, which may reach another server. What is stored already, is found to be repeated.
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
   * Keeps what was reported, and resolves once that is committed, with the event's id; a repeat gets the id of the
   * first. A policy failure is published as `whatsapp.policy_failed` in the same transaction, and the message's row in
   * `messages` follows in it, where there is one and nobody has it locked; else it follows later.
   * @throws EventNotStoredError when the database is away, or more reports wait than the memory should hold.
   */
  async record(report: MessageStatusReport): Promise<RecordedEvent> {
    let stored: StoredEvent;
    try {
      stored = await this.commits.add(report);
    } catch (cause) {
      throw new EventNotStoredError('The event could not be stored', { cause });
    }
    const { id, repeated, unlinked } = stored;
    // The row of a fallback's SMS may have been stored meanwhile, by whoever then looked for events that were not
    // committed yet. After its own commit, one of the two sees the other.
    if (unlinked || report.smsFallbackId !== null) await this.messageLinks.link(report.messageSid);
    return { id, repeated };
  }

  /** Stores an event, and takes it back. @throws what keeps events from being stored. */
  rehearse(): Promise<void> {
    return this.store.rehearse();
  }

  /**
   * Ties the events of a message to its row in `messages`, after that was added or found. An event that is being stored
   * at this very moment may be missed; the message's next one ties it, or status polling. Never rejects.
   */
  async linkMessage(messageSid: string): Promise<void> {
    await this.messageLinks.link(messageSid);
  }
}

/**
 * SQLSTATE classes 22 (data exception), 23 (constraint violation) and 54 (program limit exceeded, e.g. by a text that is
 * too long for an index): one row's fault, not the database's.
 */
function isDataError(error: unknown): boolean {
  return /^(22|23|54)/.test(sqlStateOf(error));
}

/** @returns an empty text where PostgreSQL has said nothing. */
function sqlStateOf(error: unknown): string {
  if (!(error instanceof QueryFailedError)) return '';
  const { code } = error.driverError as { code?: unknown };
  return typeof code === 'string' ? code : '';
}

/**
 * The server cannot write any more (25006), or has ended the session: in its shutdown (57P01, 57P02), or without a word.
 * A time limit that has passed is none of them: there would not be time for another.
 */
function isServersEnd(error: unknown): boolean {
  if (!(error instanceof QueryFailedError)) return false;
  const { code, message } = error.driverError as { code?: unknown; message: string };
  if (typeof code === 'string') return /^(25006|57P0[12]|08...|ECONNRESET|EPIPE)$/.test(code);
  return /^(Connection terminated|Client has encountered a connection error)/.test(message);
}
