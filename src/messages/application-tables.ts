import type { DataSource } from 'typeorm';
import { Message } from './message.entity.js';

/**
 * The statements on the application's tables, and explanations for their errors. They are here so that the checks
 * before the start run the same statements.
 */

/** Whether the service uses the application's tables. With ORIGINAL_MESSAGES=twilio it never reads or writes them. */
export function hasApplicationTables(dataSource: DataSource): boolean {
  return dataSource.hasMetadata(Message);
}

/**
 * Adds SMS. Idempotent. Each row has three parameters: conversation, SID, and text. PostgreSQL takes their types from
 * the columns, which it would not do for a set of rows in one parameter.
 */
export function insertSmsMessages(rows: number): string {
  const values = Array.from({ length: rows }, (_, row) => {
    const [conversation, sid, body] = [1, 2, 3].map((parameter) => `$${3 * row + parameter}`);
    return `(${conversation}, ${sid}, 'outbound', 'sms', ${body}, 'accepted')`;
  });
  return `
insert into messages (conversation_id, twilio_sid, direction, channel, body, status)
values ${values.join(', ')}
on conflict (twilio_sid) do update set twilio_sid = excluded.twilio_sid
returning id::text as id, twilio_sid::text as sid`;
}

/**
 * Parameter: SIDs. Locks the rows that no other session has locked. PostgreSQL takes the parameter's type from the
 * column, so an index is used whatever the type is.
 */
export const FIND_MESSAGE_STATUSES = `
with free as (
  select twilio_sid, status from messages where twilio_sid = any ($1) for no key update skip locked
)
select known.twilio_sid::text as sid, free.status::text as status, free.twilio_sid is not null as "isFree"
  from messages as known left join free on free.twilio_sid = known.twilio_sid
 where known.twilio_sid = any ($1)`;

/** Parameters: SIDs, and the status of all of them. */
export const UPDATE_MESSAGE_STATUS = 'update messages set status = $2 where twilio_sid = any ($1)';

/** Parameter: SIDs. `to_jsonb` reads a column that may be missing, and one of any type. */
export const FIND_ORIGINAL_MESSAGES = `
select message.twilio_sid::text as "twilioSid", message.id::text as id, message.body::text as body, message.conversation_id::text as "conversationId",
       company.id::text as "companyId", company.phone_number::text as "phoneNumber",
       optional.columns->>'created_at' as "createdAt", optional.columns->>'to_number' as recipient, optional.columns->>'content_sid' as "contentSid",
       optional.columns->>'content_variables' as "contentVariables"
  from messages as message
  left join conversations as conversation on conversation.id = message.conversation_id
  left join companies as company on company.id = conversation.company_id
 cross join lateral (select to_jsonb(message)) as optional (columns)
 where message.twilio_sid = any ($1)`;

/** Why a table of the application rejects a statement, and what its owner can do. */
export interface Refusal {
  readonly found: string;
  readonly remedy: string;
  /** `table.column` if the column must not be null. */
  readonly requiredColumn?: string;
}

/** The fields of PostgreSQL's error that name the cause. `detail` is left out: it has the row's values. */
interface DatabaseProblem {
  readonly code: string;
  readonly message: string;
  readonly table?: string;
  readonly column?: string;
  readonly constraint?: string;
  readonly where?: string;
}

/**
 * Explains an error of PostgreSQL, or TypeORM's error about one.
 * @returns null if the cause may be temporary: a lock, a time limit, a deadlock, a broken connection.
 */
export function refusalOf(error: unknown): Refusal | null {
  const problem = databaseProblem(error);
  if (problem === null || !isLasting(problem.code)) return null;
  return EXPLANATIONS[problem.code]?.(problem) ?? inGeneral(problem);
}

/**
 * Whether an error is lasting. Only temporary SQLSTATEs are listed, because a trigger may raise any other, even one of
 * its own: 08 and 57 connections and limits, 25 a server that cannot write, 40 deadlocks, 53 and 58 the server's disk
 * and memory, XX internal errors, 55006 and 55P03 locks. Source: PostgreSQL, appendix A.
 */
function isLasting(code: string): boolean {
  return !/^(08|25|40|53|57|58|XX)/.test(code) && code !== '55006' && code !== '55P03';
}

const EXPLANATIONS: Readonly<Record<string, (problem: DatabaseProblem) => Refusal>> = {
  // not_null_violation
  '23502': (problem) => ({
    requiredColumn: columnOf(problem),
    found: `${columnOf(problem)} is NOT NULL and the service does not fill it`,
    remedy: `Give it a default (alter table ${tableOf(problem)} alter column ${identifier(problem.column)} set default …), let it be null, or fill it in a trigger before insert`,
  }),
  // check_violation; without a constraint name, no partition accepts the row
  '23514': (problem) =>
    problem.constraint === undefined
      ? inGeneral(problem)
      : {
          found: `the check constraint ${problem.constraint} of ${tableOf(problem)} refuses what the service writes`,
          remedy: `Let it allow direction outbound, channel sms and every status of Twilio: alter table ${tableOf(problem)} drop constraint ${identifier(problem.constraint)}, and add it again`,
        },
  '23503': (problem) => constrained(problem, 'foreign key', 'Let it be null, or drop the constraint'),
  '23505': (problem) => constrained(problem, 'unique constraint', 'Only twilio_sid may be unique: drop it'),
  '23P01': (problem) => constrained(problem, 'exclusion constraint', 'Drop it'),
  // insufficient_privilege: on a table, on a sequence, or by row-level security
  '42501': (problem) => ({
    found: problem.message,
    remedy: problem.message.includes('row-level security')
      ? 'Let the policies allow it, or the role bypass them: alter role … bypassrls'
      : 'To the role of DATABASE_URL: grant select, insert, update on messages; grant select on conversations, companies; grant usage on the sequence of messages.id, if it has one',
  }),
  // invalid_column_reference: no unique index for `on conflict`
  '42P10': (problem) => ({
    found: `messages.twilio_sid is not unique by itself (${problem.message})`,
    remedy: 'alter table messages add unique (twilio_sid)',
  }),
  // string_data_right_truncation
  '22001': (problem) => ({
    found: `a text is too long for a column of messages: ${problem.message}`,
    remedy:
      'Make body and the other columns that the service fills text: alter table messages alter column body type text',
  }),
  // invalid_text_representation: also a value that an enum lacks
  '22P02': (problem) => ({
    found: `a column of messages does not take a value of Twilio: ${problem.message}`,
    remedy:
      'twilio_sid, direction, channel, body and status must be text, because Twilio adds values: alter table messages alter column … type text',
  }),
  // generated_always
  '428C9': (problem) => ({
    found: `messages has a generated column that the service fills: ${problem.message}`,
    remedy: 'Let it be an ordinary one: alter table messages alter column … drop expression',
  }),
};

function constrained(problem: DatabaseProblem, kind: string, remedy: string): Refusal {
  return {
    found: `the ${kind} ${problem.constraint ?? ''} of ${tableOf(problem)} refuses what the service writes`,
    remedy,
  };
}

/**
 * Explains any other error, e.g. one that a trigger raises. The first line of the context names the trigger's function.
 */
function inGeneral({ message, where }: DatabaseProblem): Refusal {
  const [context = ''] = (where ?? '').split('\n');
  const origin = /^PL\/pgSQL function .* line \d+/.exec(context)?.[0];
  return {
    found: `messages refuses what the service writes: ${message}${origin === undefined ? '' : ` (${origin})`}`,
    remedy:
      'Let the table, and its triggers, take rows of direction outbound and channel sms, and every status of Twilio',
  };
}

function tableOf({ table = 'messages' }: DatabaseProblem): string {
  return identifier(table);
}

function columnOf(problem: DatabaseProblem): string {
  return `${tableOf(problem)}.${identifier(problem.column)}`;
}

/** Formats an identifier as SQL needs it. */
export function identifier(name = '…'): string {
  return /^[a-z_…][a-z0-9_$]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

function databaseProblem(error: unknown): DatabaseProblem | null {
  const cause =
    typeof error === 'object' && error !== null && 'driverError' in error ? error.driverError : error;
  if (!(cause instanceof Error) || !('code' in cause) || typeof cause.code !== 'string') return null;
  return cause as Error & DatabaseProblem;
}

const TOLD_FOR_MILLISECONDS = 60 * 60_000;
const MOST_REASONS = 20;

/** Limits the log to one line per reason and hour, however many rows are refused. */
export class ToldReasons {
  private readonly reasons = new Set<string>();
  private since = Date.now();

  /** @returns whether to log the reason now. */
  add(reason: string): boolean {
    if (Date.now() - this.since > TOLD_FOR_MILLISECONDS) {
      this.reasons.clear();
      this.since = Date.now();
    }
    // A trigger may raise a different text each time.
    if (this.reasons.size >= MOST_REASONS) return false;
    const isNew = !this.reasons.has(reason);
    this.reasons.add(reason);
    return isNew;
  }
}
