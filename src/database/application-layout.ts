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

/**
 * Finds such tables because the service creates missing ones: beside the application's own tables, they would stay
 * empty.
 */
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
      found: `On the search_path (${first.searchPath}) there is no ${missing}, but there is ${rows.map(({ found }) => found).join(', ')}: new and empty tables would be created beside them`,
      remedy:
        'If the service is to work with those, let the search_path lead to them (options=-c%20search_path%3D… in DATABASE_URL, or alter role … set search_path), ' +
        `under the names messages, conversations and companies (alter table … rename to …; in Prisma @@map). If it is to have tables of its own: npm run migrate -- --new-tables. See ${OWN_TABLES}`,
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
      remedy: `Let the service have tables of its own, in a schema of its own, into which yours are copied: ${OWN_TABLES}`,
    },
  ];
}
