import { randomUUID } from 'node:crypto';
import { DatabaseError } from 'pg';
import { identifier } from '../messages/application-tables.js';
import { StartupError } from '../process/startup-error.js';
import {
  findHiddenRows,
  findOtherKindOfTable,
  findRefusedRows,
  findTablesElsewhere,
} from './application-checks.js';

/** A reason why the service cannot work on this database, and what the operator can do about it. */
export interface Problem {
  /** The name of the check, as the doctor shows it. */
  readonly check: string;
  /** Both without a full stop. */
  readonly found: string;
  readonly remedy: string;
}

/** Runs statements, all on the same connection. */
export type Query = <Row extends object>(sql: string, parameters?: unknown[]) => Promise<Row[]>;

/** A separate connection. */
export interface Session {
  readonly query: Query;
  end(): void;
}

/** The server that DATABASE_URL names. */
export interface Server extends Session {
  readonly url: string;
  /** Another connection, made in the same way. */
  readonly connect: () => Promise<Session>;
}

/** What the server says about itself. */
export interface ServerFacts {
  readonly versionNumber: number;
  readonly version: string;
  readonly encoding: string;
  readonly isStandby: boolean;
  readonly isReadOnly: boolean;
  readonly schema: string | null;
  readonly searchPath: string;
  readonly role: string;
  /** PGlite behind a socket has one session for all connections, and works that way. */
  readonly isSingleSession: boolean;
}

const FACTS = `
select current_setting('server_version_num')::int as "versionNumber", current_setting('server_version') as version,
       current_setting('server_encoding') as encoding, pg_is_in_recovery() as "isStandby",
       current_setting('transaction_read_only')::bool as "isReadOnly", current_schema()::text as schema,
       current_setting('search_path') as "searchPath", current_user::text as role,
       version() like '%PGlite%' as "isSingleSession"`;

const OLDEST_VERSION = 14;

/** Parameters of other libraries for a schema. node-postgres ignores them. */
const SCHEMA_PARAMETERS = ['schema', 'search_path', 'currentSchema', 'schema_search_path', 'searchpath'];

/** Checks of the server, independent of its database contents. The first problem is reported. */
const OF_THE_SERVER: readonly ((
  facts: ServerFacts,
  server: Server,
) => Problem | null | Promise<Problem | null>)[] = [
  findOldVersion,
  findOtherEncoding,
  findReadOnly,
  ({ isSingleSession }, server) => (isSingleSession ? null : findPooling(server, server.connect)),
  (facts, { url }) => findIgnoredSchema(facts, url),
  findMissingSchema,
];

/** Checks of the application's tables before migrating. */
const BEFORE_MIGRATING = [findTablesElsewhere, findOtherKindOfTable] as const;

/** Checks of the application's tables after migrating, while the service runs. */
const OF_THE_ROWS = [findHiddenRows, findRefusedRows] as const;

/** A problem that the operator can fix: exit code 1, no stack, and a finding of the doctor. */
export class PreconditionError extends StartupError {
  constructor(readonly problems: readonly Problem[]) {
    super(problems.map(({ found, remedy }) => `${found}.\n${remedy}.`).join('\n'));
  }
}

/** @throws PreconditionError if the service cannot work on this server. */
export async function assertServer(server: Server): Promise<void> {
  const [facts] = await server.query<ServerFacts>(FACTS);
  if (facts === undefined) return;
  for (const find of OF_THE_SERVER) {
    const problem = await find(facts, server);
    if (problem !== null) throw new PreconditionError([problem]);
  }
}

export interface LayoutOptions {
  /** The operator wants new tables for the service, although an application has such tables elsewhere. */
  readonly newTables?: boolean;
}

/** @throws PreconditionError if migrating would create unwanted tables or could not succeed. */
export async function assertLayout(query: Query, options: LayoutOptions): Promise<void> {
  const problems = await layoutProblems(query, options);
  if (problems.length > 0) throw new PreconditionError(problems);
}

export async function layoutProblems(query: Query, options: LayoutOptions = {}): Promise<Problem[]> {
  for (const find of BEFORE_MIGRATING) {
    const problems = await find(query, options);
    if (problems.length > 0) return problems;
  }
  return [];
}

/**
 * Finds what the application's tables refuse or hide. The service works anyway: its log and its SMS do not depend on
 * them.
 */
export async function rowProblems(query: Query): Promise<Problem[]> {
  for (const find of OF_THE_ROWS) {
    const problems = await find(query);
    if (problems.length > 0) return problems;
  }
  return [];
}

export function findOldVersion({ versionNumber, version }: ServerFacts): Problem | null {
  if (versionNumber >= OLDEST_VERSION * 10_000) return null;
  return {
    check: 'version',
    found: `The server is PostgreSQL ${version}, and the service needs ${OLDEST_VERSION} or newer`,
    remedy: 'Upgrade it, or name another server in DATABASE_URL',
  };
}

export function findOtherEncoding({ encoding }: ServerFacts): Problem | null {
  if (encoding === 'UTF8') return null;
  return {
    check: 'encoding',
    found: `The database is encoded in ${encoding}, which cannot store every character, e.g. an emoji`,
    remedy:
      "Create a database in UTF8, and restore a dump into it: create database … encoding 'UTF8' template template0",
  };
}

export function findReadOnly({ isStandby, isReadOnly, role }: ServerFacts): Problem | null {
  const check = 'read-only';
  if (isStandby) {
    return {
      check,
      found: 'The server is a standby (pg_is_in_recovery), which does not accept writes',
      remedy: 'Name the primary in DATABASE_URL, or promote this one',
    };
  }
  if (!isReadOnly) return null;
  return {
    check,
    found: 'Transactions are read-only here (default_transaction_read_only)',
    remedy: `Allow writes: alter role ${identifier(role)} set default_transaction_read_only = off; some providers turn it on when the disk is full`,
  };
}

export function findIgnoredSchema({ schema, role }: ServerFacts, url: string): Problem | null {
  const [, query = ''] = url.split('?', 2);
  const parameters = new URLSearchParams(query);
  const name = SCHEMA_PARAMETERS.find((parameter) => parameters.has(parameter));
  if (name === undefined) return null;
  const wanted = parameters.get(name) ?? '';
  // Prisma writes schema=public everywhere, and the service uses that schema.
  if (wanted === schema) return null;
  return {
    check: 'schema',
    found: `DATABASE_URL has ${name}=${wanted}, which node-postgres ignores: the service would use the schema ${schema ?? '(none)'}`,
    remedy: `Write options=-c%20search_path%3D${encodeURIComponent(identifier(wanted))} instead, or remove it and run: alter role ${identifier(role)} set search_path = ${identifier(wanted)}`,
  };
}

export function findMissingSchema({ schema, searchPath }: ServerFacts): Problem | null {
  if (schema !== null) return null;
  return {
    check: 'schema',
    found: `No schema of the search_path (${searchPath}) exists, or the role of DATABASE_URL may not use it`,
    remedy: 'Create it, grant usage on it, or correct the search_path',
  };
}

/**
 * How many more connections are opened, one after the other. Each holds a transaction open, so that a pooler must use
 * another session.
 */
const OTHER_SESSIONS = 3;

const READ_MARK = `select current_setting('whatsapp_sms_fallback.session', true) as mark`;

const REMEDY =
  'Use the pooler in session mode (in PgBouncer pool_mode = session), or connect to PostgreSQL directly';

/**
 * Finds out whether a connection has its own PostgreSQL session. Behind a pooler that assigns sessions by transaction
 * or by statement, jobs are never announced, settings are lost, and locks have no owner. A pooler is detected by its
 * behavior: a mark that is set in one session must be there later, and nowhere else.
 */
export async function findPooling(first: Session, connect: () => Promise<Session>): Promise<Problem | null> {
  const mark = randomUUID();
  await first.query(`select set_config('whatsapp_sms_fallback.session', $1, false)`, [mark]);
  const others: Session[] = [];
  try {
    for (let index = 0; index < OTHER_SESSIONS; index++) {
      const other = await unlessTaken(connect);
      // A pooler in session mode with few connections makes later clients wait.
      if (other === null) break;
      others.push(other);
      const found = await lookFrom(other, mark);
      if (typeof found === 'object') return found;
      if ((await readMark(first)) !== mark)
        return pooled('a connection loses its session between statements');
      if (found === 'waits') break;
    }
    return null;
  } finally {
    for (const other of others) other.end();
  }
}

/** @returns a problem, or whether the other session holds a transaction that it has begun. */
async function lookFrom(other: Session, mark: string): Promise<Problem | 'begun' | 'waits'> {
  try {
    await other.query('begin');
    return (await readMark(other)) === mark ? pooled('connections share a session') : 'begun';
  } catch (error) {
    // Class 57: the server shuts down, or a statement was cancelled.
    if (error instanceof DatabaseError && !error.code?.startsWith('57')) {
      return pooled(`it does not take transactions (${error.message})`);
    }
    if (isTimeout(error)) return 'waits';
    throw error;
  }
}

async function unlessTaken(connect: () => Promise<Session>): Promise<Session | null> {
  try {
    return await connect();
  } catch (error) {
    // 53300: too many connections, for this role or for all.
    if (isTimeout(error) || (error as { code?: unknown }).code === '53300') return null;
    throw error;
  }
}

/** Compares messages, since node-postgres has no class for its own time limits. */
function isTimeout(error: unknown): boolean {
  return error instanceof Error && /timeout/i.test(error.message) && !(error instanceof DatabaseError);
}

async function readMark(session: Session): Promise<string | null> {
  const [row] = await session.query<{ mark: string | null }>(READ_MARK);
  return row?.mark ?? null;
}

function pooled(found: string): Problem {
  return {
    check: 'pooling',
    found: `A pooler between the service and PostgreSQL shares sessions by transaction or by statement: ${found}. Callbacks and SMS would be lost silently`,
    remedy: REMEDY,
  };
}
