import { randomBytes, randomInt } from 'node:crypto';
import {
  FIND_ORIGINAL_MESSAGES,
  identifier,
  insertSmsMessages,
  refusalOf,
  UPDATE_MESSAGE_STATUS,
} from '../messages/application-tables.js';
import { STATUSES_BY_RANK } from '../messages/message-status.js';
import type { LayoutOptions, Problem, Query } from './preconditions.js';

const OWN_TABLES = 'docs/deploying.md#tables-of-the-services-own';

interface Elsewhere {
  readonly name: string;
  readonly found: string;
  readonly searchPath: string;
}

/** Tables with these names that are outside the search_path, and tables with similar names (Prisma's "Message"). */
const ELSEWHERE = `
select needed.name, format('%I.%I', nspname, relname) as found, current_setting('search_path') as "searchPath"
  from (values ('messages', 'message'), ('conversations', 'conversation'), ('companies', 'company')) as needed (name, alike)
  join pg_class on lower(relname) in (needed.name, needed.alike) and relkind in ('r', 'p', 'v', 'm', 'f')
  join pg_namespace on pg_namespace.oid = relnamespace
 where to_regclass(needed.name) is null
   and nspname <> 'information_schema' and not starts_with(nspname, 'pg_')
 order by 1, 2`;

/** Finds such tables, because the service would create the missing ones, and those would stay empty. */
export async function findTablesElsewhere(
  query: Query,
  { newTables = false }: LayoutOptions,
): Promise<Problem[]> {
  if (newTables) return [];
  const rows = await query<Elsewhere>(ELSEWHERE);
  const [first] = rows;
  if (first === undefined) return [];
  const missing = [...new Set(rows.map(({ name }) => name))].join(', ');
  return [
    {
      check: 'tables',
      found: `The search_path (${first.searchPath}) has no ${missing}, but there is ${rows.map(({ found }) => found).join(', ')}: migrating would create new, empty tables`,
      remedy:
        'To use the existing tables, put their schema on the search_path (options=-c%20search_path%3D… in DATABASE_URL, or alter role … set search_path), ' +
        `and name them messages, conversations, and companies (alter table … rename to …; in Prisma @@map). To create tables for the service: npm run migrate -- --new-tables. See ${OWN_TABLES}`,
    },
  ];
}

const KIND = `select relkind::text as kind from pg_class where oid = to_regclass('messages')`;

const KINDS: Readonly<Record<string, string>> = {
  v: 'a view',
  m: 'a materialized view',
  f: 'a foreign table',
  p: 'a partitioned table, in which twilio_sid cannot be unique by itself',
};

/** Finds a `messages` relation that is not a table: the row of an SMS is added once, by its unique SID. */
export async function findOtherKindOfTable(query: Query): Promise<Problem[]> {
  const [row] = await query<{ kind: string }>(KIND);
  const kind = KINDS[row?.kind ?? ''];
  if (kind === undefined) return [];
  return [
    {
      check: 'messages',
      found: `messages is ${kind}, and the service needs a table with a unique twilio_sid`,
      remedy: `Give the service its own tables in its own schema, and copy yours into them: ${OWN_TABLES}`,
    },
  ];
}

const CHECK = 'messages';

/** The longest text of an SMS. Source: Twilio's Messages resource, Body. */
const LONGEST_TEXT = 1_600;

/** Returns characters of three bytes each that an index cannot compress. */
function longestText(): string {
  return String.fromCharCode(...Array.from({ length: LONGEST_TEXT }, () => randomInt(0x4e00, 0x9fff)));
}

/** Tables whose policies hide rows from this role, unless one policy shows all rows and no other restricts that. */
const HIDDEN = `
select named.name, current_user::text as role
  from (values ('messages'), ('conversations'), ('companies')) as named (name)
  join pg_class on pg_class.oid = to_regclass(named.name)
 where row_security_active(pg_class.oid) and not coalesce((
   select bool_or(polpermissive and pg_get_expr(polqual, polrelid) = 'true') and bool_and(polpermissive)
     from pg_policy
    where polrelid = pg_class.oid and polcmd in ('*', 'r')
      and exists (
        select from unnest(polroles) as granted (role)
         where case granted.role when 0 then true else pg_has_role(granted.role, 'usage') end
      )
 ), false)
 order by 1`;

/** Finds tables with row-level security: it hides rows silently, so an original would seem not to be stored. */
export async function findHiddenRows(query: Query): Promise<Problem[]> {
  const rows = await query<{ name: string; role: string }>(HIDDEN);
  return rows.map(({ name, role }) => ({
    check: CHECK,
    found: `Row-level security hides rows of ${name} from the role ${role}`,
    remedy: `alter role ${identifier(role)} bypassrls, or: create policy … on ${name} for all to ${identifier(role)} using (true) with check (true)`,
  }));
}

interface RequiredColumn {
  readonly name: string;
  readonly type: string;
}

/** Columns of messages that are required, and filled by neither the service nor the database. */
const REQUIRED = `
select attname::text as name, format_type(atttypid, atttypmod) as type from pg_attribute
 where attrelid = 'messages'::regclass and attnum > 0 and not attisdropped
   and attnotnull and not atthasdef and attidentity = ''
   and attname not in ('conversation_id', 'twilio_sid', 'direction', 'channel', 'body', 'status')
 order by attnum`;

/**
 * Tries the service's writes to the application's tables and rolls them back: the row of an SMS, its lookup, and each
 * status of Twilio. Triggers run; sequences advance.
 */
export async function findRefusedRows(query: Query): Promise<Problem[]> {
  const attempt: Attempt = { step: 'the row of an SMS', conversation: null };
  await query('begin');
  try {
    // Another session's lock says nothing about the table, so do not wait for it.
    await query(`select set_config('lock_timeout', '1s', true), set_config('statement_timeout', '3s', true)`);
    return await attemptAll(query, attempt);
  } catch (error) {
    await query('rollback');
    return await explain(query, attempt, error);
  } finally {
    await query('rollback');
  }
}

const LOOK_UP = 'looking up a message';

interface Attempt {
  step: string;
  /** `conversations.id`; null if there is none yet. */
  conversation: unknown;
}

async function attemptAll(query: Query, attempt: Attempt): Promise<Problem[]> {
  const sid = `SM${randomBytes(16).toString('hex')}`;
  const [conversation] = await query<{ id: unknown }>('select id from conversations limit 1');
  attempt.conversation = conversation?.id ?? null;
  await query(insertSmsMessages(1), [attempt.conversation, sid, longestText()]);
  // Deferred constraints would fail only at the commit.
  await query('set constraints all immediate');
  attempt.step = LOOK_UP;
  if ((await query(FIND_ORIGINAL_MESSAGES, [[sid]])).length !== 1) return [UNSEEN];
  for (const status of STATUSES_BY_RANK) {
    attempt.step = `the status ${status}`;
    await query(UPDATE_MESSAGE_STATUS, [[sid], status]);
  }
  return [];
}

async function explain(query: Query, { step, conversation }: Attempt, error: unknown): Promise<Problem[]> {
  const refusal = refusalOf(error);
  // Another session held a lock, or a statement took too long.
  if (refusal === null) return [];
  const noSms = step === LOOK_UP ? '. No SMS is sent until this works' : '';
  const found = `The application's tables refuse ${step}: ${refusal.found}${noSms}`;
  if (refusal.requiredColumn === undefined) return [{ check: CHECK, found, remedy: refusal.remedy }];
  // The service sets a conversation later, but there is none to try with.
  if (refusal.requiredColumn === 'messages.conversation_id' && conversation === null) return [];
  const columns = await query<RequiredColumn>(REQUIRED);
  // Usually several columns are required, so report all of them. A trigger may have hit a column of another table.
  if (!columns.some(({ name }) => refusal.requiredColumn === `messages.${identifier(name)}`)) {
    return [{ check: CHECK, found, remedy: refusal.remedy }];
  }
  return columns.map((column) => ({
    check: CHECK,
    found: `messages.${identifier(column.name)} is NOT NULL without a default, and the service does not fill it`,
    remedy: `alter table messages alter column ${identifier(column.name)} ${defaultOf(column)}; or fill it in a trigger before insert`,
  }));
}

/** The default that suits most applications. */
function defaultOf({ name, type }: RequiredColumn): string {
  if (type.startsWith('timestamp')) return 'set default now()';
  if (name !== 'id') return 'set default …';
  if (type === 'uuid') return 'set default gen_random_uuid()';
  if (/^(smallint|integer|bigint)$/.test(type)) return 'add generated by default as identity';
  return 'set default gen_random_uuid()::text';
}

const UNSEEN: Problem = {
  check: CHECK,
  found: 'A row that the service adds to messages cannot be found by its twilio_sid afterwards',
  remedy: 'Look for a trigger, rule, or policy that redirects, changes, or hides it',
};
