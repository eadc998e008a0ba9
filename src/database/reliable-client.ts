import type { Socket } from 'node:net';
import { type Client, DatabaseError, Query } from 'pg';
import { WritableClient, type WritableClientConfig } from './writable-client.js';

export interface ReliableClientConfig extends WritableClientConfig {
  /**
   * How long PostgreSQL may send nothing while an answer is awaited, in milliseconds; default: for ever. A statement may have
   * its own.
   */
  readonly query_timeout?: number;
  /**
   * Names by the texts of statements that are parsed once for a connection, instead of each time. Not for a connection that
   * shares its session with others.
   */
  readonly preparedStatements?: PreparedStatements;
}

export type PreparedStatements = ReadonlyMap<unknown, string>;

const NONE: PreparedStatements = new Map();

/** As node-postgres has it for its own `query_timeout`; DatabaseProblemFilter knows it by that. */
const ANSWER_TIMEOUT_MESSAGE = 'Query read timeout';

type SendQuery = (...parameters: unknown[]) => unknown;

/** What @types/pg does not have. */
interface ConfiguredClient {
  readonly connectionParameters: { query_timeout: unknown };
}

/** A statement with a limit of its own. */
interface PatientStatement {
  readonly query_timeout: number;
}

/**
 * A connection that is given up when nothing comes for as long as `query_timeout` while an answer is awaited. node-postgres
 * would use it again, perhaps in the middle of a transaction whose ROLLBACK was never sent: what is written there is never
 * committed: https://github.com/brianc/node-postgres/issues/3399. And its timer for each statement keeps what was sent in
 * memory for longer than the statement takes.
 */
export class ReliableClient extends WritableClient {
  private preparedStatements: PreparedStatements;
  private readonly answerTimeout: number;
  private isAnswerAwaited = false;

  constructor(config?: ReliableClientConfig) {
    super(config);
    this.preparedStatements = config?.preparedStatements ?? NONE;
    this.answerTimeout = withoutOwnTimer(this);
    // At each server that is tried.
    this.on('connect', () => {
      this.socket.on('timeout', this.giveUp);
    });
    // Each statement that was sent has its answer.
    this.on('drain', () => {
      this.isAnswerAwaited = false;
    });
  }

  /** With several statements at once, each has the limit of the last one. */
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
        ? this.queryPrepared(query, name, text as string, values)
        : query(...parameters);
    return result as never;
  };

  /** Another one where it is encrypted, once it is connected. */
  private get socket(): Socket {
    return this.connection.stream as Socket;
  }

  private limitAnswer(milliseconds: number): void {
    if (this.socket.timeout !== milliseconds) this.socket.setTimeout(milliseconds);
  }

  private readonly giveUp = (): void => {
    if (this.isAnswerAwaited) this.giveUpWith(new Error(ANSWER_TIMEOUT_MESSAGE));
  };

  /** A connection whose prepared statement cannot be used, as behind a pooler that mixes sessions, goes on without. */
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

/** What `query({ name, text, values })` does, without the copy that it makes of that object: 15 µs. */
function sendPrepared(query: SendQuery, name: string, text: string, values: unknown[]): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const callback = (error: Error | undefined, result: unknown) => {
      if (error) reject(error);
      else resolve(result);
    };
    query(Object.assign(new Query(text, values, callback), { name }));
  });
}

/** @returns the limit that it was configured with, in milliseconds, by a URL too; node-postgres is left without. */
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

/** SQLSTATE: the name is not known, or taken (both after another session's), or the result has other columns by now. */
const UNUSABLE_STATEMENT = ['26000', '42P05', '0A000'];

function isUnusableStatement(error: unknown): boolean {
  return error instanceof DatabaseError && UNUSABLE_STATEMENT.includes(error.code ?? '');
}
