import { randomUUID } from 'node:crypto';
import { DatabaseError } from 'pg';
import type { Problem, Session } from './preconditions.js';

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
