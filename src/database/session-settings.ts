/** Settings of a session by their names, all as text. */
export type SessionSettings = Readonly<Record<string, string>>;

/**
 * Settings that the service depends on, and that a role, a database or postgresql.conf may change. Names that a version
 * of PostgreSQL does not know are skipped. Not included: settings that only a superuser may change, settings for
 * locations (`search_path` without a schema of the service's own, `role`, `default_tablespace`), and `timezone`, which may define the meaning of zoneless
 * times in the application's tables.
 */
const DEPENDED_ON: SessionSettings = {
  // Formats of values. node-postgres knows the default formats only:
  // https://github.com/brianc/node-postgres/issues/2640
  client_encoding: 'UTF8',
  datestyle: 'ISO, MDY',
  intervalstyle: 'postgres',
  bytea_output: 'hex',
  extra_float_digits: '1',
  standard_conforming_strings: 'on',
  array_nulls: 'on',
  transform_null_equals: 'off',
  quote_all_identifiers: 'off',

  // `on conflict` and waiting for rows fail in a serializable transaction.
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  row_security: 'on',
  // Constraint errors are expected and must not end the session.
  exit_on_error: 'off',
  // Extra errors would stop functions from being created.
  'plpgsql.extra_errors': 'none',

  // The service sets its own limits. If PostgreSQL ends a pooled connection on its own, the next statement fails.
  lock_timeout: '0',
  transaction_timeout: '0',
  idle_session_timeout: '0',

  // JIT compilation takes longer than any statement of a callback.
  jit: 'off',

  // After 25 seconds, the server ends a session whose client or network is gone.
  tcp_keepalives_idle: '10',
  tcp_keepalives_interval: '5',
  tcp_keepalives_count: '3',
  tcp_user_timeout: '25000',
};

/** Which of the results of `sessionSetup` is the session's state. */
export const STATE_RESULT = 4;

/** The state of a session after the settings are made. */
export interface SessionState {
  readonly pid: number;
  /** Null if the session's role may not see it, after `alter role … set role`. */
  readonly startedAt: string | null;
  readonly inRecovery: boolean;
  /** The source of a read-only setting; null if transactions are not read-only. */
  readonly readOnlyBy: string | null;
}

/** Puts a schema in front of the search_path, once: a pooler may keep it. */
function searchPath(schema: string): string {
  const first = `"${schema}", `;
  return `('search_path', case when not starts_with(current_setting('search_path'), '${first}')
       then '${first}' || current_setting('search_path') end),`;
}

/**
 * Makes the settings and reads the session's state, in one round trip. It is one transaction with explicit properties,
 * so no default applies to it, and it turns its limits off first. A pooler that keeps sessions accepts this, unlike
 * parameters of the startup message.
 *
 * - `synchronous_commit = off` would lose acknowledged callbacks in a crash. Any other value is the operator's choice.
 * - A role may be read-only by default, which is overridden. `default_transaction_read_only` of the database or the
 *   server is how operators close a server before they move to another one: such a session is refused.
 * - PostgreSQL knows a client that is gone during a statement on some systems only.
 *
 * @param schema a name that needs no escape, see DATABASE_SCHEMA.
 */
export function sessionSetup(limits: SessionSettings, schema?: string): string {
  const values = Object.entries({ ...DEPENDED_ON, ...limits })
    .map(([name, value]) => `('${name}', '${value}')`)
    .join(', ');
  return `begin transaction isolation level read committed, read only, not deferrable;
set statement_timeout = 0;
set jit = off;
select pg_catalog.set_config(name, value, false)
  from (values ${values},
    ('synchronous_commit', case when current_setting('synchronous_commit') = 'off' then 'on' end),
    ('client_connection_check_interval', case when version() like '%linux%' then '10000' end),
    ${schema === undefined ? '' : searchPath(schema)}
    ('default_transaction_read_only', case when current_setting('default_transaction_read_only') = 'on' then (
       select 'off' from pg_catalog.pg_settings where name = 'default_transaction_read_only'
          and source in ('user', 'database user', 'global')) end)
  ) as wanted (name, value)
 where value is not null and current_setting(name, true) <> value;
select pg_backend_pid() as pid, pg_is_in_recovery() as "inRecovery",
       (select backend_start::text from pg_catalog.pg_stat_get_activity(pg_backend_pid())) as "startedAt",
       case when current_setting('default_transaction_read_only') = 'on' then (
         select source from pg_catalog.pg_settings where name = 'default_transaction_read_only') end as "readOnlyBy";
commit`;
}
