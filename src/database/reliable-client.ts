import type { Socket } from 'node:net';
import { type Client, DatabaseError, Query } from 'pg';
import { JOB_QUEUE_SCHEMA } from '../domain-events/domain-events.js';
import { WritableClient, type WritableClientConfig } from './writable-client.js';

export interface ReliableClientConfig extends WritableClientConfig {
  /**
   * How long PostgreSQL may send nothing while an answer is awaited, in milliseconds; default: no limit. A statement
   * may have its own limit.
   */
  readonly query_timeout?: number;
  /**
   * Statement names by statement text; each is parsed once per connection instead of each time. Not for a connection
   * that shares its session with others.
   */
  readonly preparedStatements?: PreparedStatements;
  /** The name of the job queue's schema, in place of JOB_QUEUE_SCHEMA in statements. */
  readonly queueSchema?: string;
}

export type PreparedStatements = ReadonlyMap<unknown, string>;

const NONE: PreparedStatements = new Map();

/** The message of node-postgres's own `query_timeout`; DatabaseProblemFilter recognizes it. */
const ANSWER_TIMEOUT_MESSAGE = 'Query read timeout';

type SendQuery = (...parameters: unknown[]) => unknown;

/** Properties that @types/pg lacks. */
interface ConfiguredClient {
  readonly connectionParameters: { query_timeout: unknown };
}

/** A statement with its own limit. */
interface PatientStatement {
  readonly query_timeout: number;
}

/**
 * A connection that is closed when nothing arrives within `query_timeout` while an answer is awaited. node-postgres
 * would reuse it, perhaps in the middle of a transaction whose ROLLBACK was never sent: writes there are never
 * committed (https://github.com/brianc/node-postgres/issues/3399). Also, its timer for each statement keeps the sent data in memory for longer than the statement takes.
 */
export class ReliableClient extends WritableClient {
  private preparedStatements: PreparedStatements;
  private readonly answerTimeout: number;
  private readonly queueSchema: string;
  private isAnswerAwaited = false;

  constructor(config?: ReliableClientConfig) {
    super(config);
    this.preparedStatements = config?.preparedStatements ?? NONE;
    this.queueSchema = config?.queueSchema ?? JOB_QUEUE_SCHEMA;
    this.answerTimeout = withoutOwnTimer(this);
    // This happens at each server that is tried.
    this.on('connect', () => {
      this.socket.on('timeout', this.giveUp);
    });
    // Every statement has its answer.
    this.on('drain', () => {
      this.isAnswerAwaited = false;
    });
  }

  /** If several statements are under way, each has the limit of the last one. */
  override query: Client['query'] = (...parameters: unknown[]): never => {
    const query = super.query.bind(this) as SendQuery;
    const [text, values] = parameters;
    this.isAnswerAwaited = true;
    if (isPatient(text)) {
      const { query_timeout: answerTimeout, ...statement } = text;
      this.limitAnswer(answerTimeout);
      return query(statement, ...parameters.slice(1)) as never;
    }
    this.limitAnswer(this.answerTimeout);
    const name = this.preparedStatements.get(text);
    const result =
      name !== undefined && Array.isArray(values) && parameters.length === 2
        ? this.queryPrepared(query, name, this.inQueueSchema(text) as string, values)
        : query(this.inQueueSchema(text), ...parameters.slice(1));
    return result as never;
  };

  private inQueueSchema(text: unknown): unknown {
    if (this.queueSchema === JOB_QUEUE_SCHEMA || typeof text !== 'string') return text;
    return text.replaceAll(JOB_QUEUE_SCHEMA, this.queueSchema);
  }

  /** The current socket; an encrypted connection replaces it after connecting. */
  private get socket(): Socket {
    return this.connection.stream as Socket;
  }

  private limitAnswer(milliseconds: number): void {
    if (this.socket.timeout !== milliseconds) this.socket.setTimeout(milliseconds);
  }

  private readonly giveUp = (): void => {
    if (this.isAnswerAwaited) this.giveUpWith(new Error(ANSWER_TIMEOUT_MESSAGE));
  };

  /**
   * Falls back to an unprepared statement if the prepared one cannot be used, e.g. behind a pooler that mixes sessions.
   */
  private async queryPrepared(query: SendQuery, name: string, text: string, values: unknown[]) {
    const inTransaction = this.getTransactionStatus() !== 'I';
    try {
      return await sendPrepared(query, name, text, values);
    } catch (error) {
      if (!isUnusableStatement(error)) throw error;
      this.preparedStatements = NONE;
      // The statement has not begun; but a transaction is over with any error.
      if (inTransaction) throw error;
      return this.query(text, values);
    }
  }
}

/** Like `query({ name, text, values })`, without its copy of that object, which takes 15 µs. */
function sendPrepared(query: SendQuery, name: string, text: string, values: unknown[]): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const callback = (error: Error | undefined, result: unknown) => {
      if (error) reject(error);
      else resolve(result);
    };
    query(Object.assign(new Query(text, values, callback), { name }));
  });
}

/** Removes node-postgres's own timer. @returns the configured limit in milliseconds, also from a URL. */
function withoutOwnTimer(client: Client): number {
  const { connectionParameters } = client as unknown as ConfiguredClient;
  const limit = Number(connectionParameters.query_timeout);
  connectionParameters.query_timeout = 0;
  return limit > 0 ? limit : 0;
}

function isPatient(statement: unknown): statement is PatientStatement {
  if (typeof statement !== 'object' || statement === null) return false;
  return 'query_timeout' in statement && Number(statement.query_timeout) > 0;
}

/** SQLSTATEs: the name is unknown or taken (both after a change of session), or the result has other columns now. */
const UNUSABLE_STATEMENT = ['26000', '42P05', '0A000'];

function isUnusableStatement(error: unknown): boolean {
  return error instanceof DatabaseError && UNUSABLE_STATEMENT.includes(error.code ?? '');
}
