import * as pglite from '@electric-sql/pglite';
import { readFile } from 'node:fs/promises';

const wasm = new URL('./pglite.wasm', import.meta.resolve('@electric-sql/pglite'));
const pgliteWasmModule = await WebAssembly.compile(await readFile(wasm));

/** An idle PostgreSQL updates its statistics every ten seconds. That timer must not keep a process from exiting. */
const { setTimeout } = globalThis;
globalThis.setTimeout = (...args) => {
  const timer = setTimeout(...args);
  return new Error().stack.includes('setitimer') ? timer.unref() : timer;
};

/** More would waste memory: few specs use two databases at once. */
const KEPT_AT_MOST = 2;

/** The idle databases, by folder. They are reset and ready for the next spec. */
const idle = new Map();

/** The folders of databases that may be kept. */
const keepable = new Set();

/** The archives of databases that are in memory, by the folder that stands for each. */
const archives = new Map();

/** The contents of archives, by path. */
const contents = new Map();

/** Makes a database in memory of what opens this folder: its files took a fifth of the time of a spec. */
export function loadIntoMemory(folder, archive) {
  archives.set(folder, archive);
}

async function archiveOf(folder) {
  const path = archives.get(folder);
  if (path === undefined) return {};
  archives.delete(folder);
  if (!contents.has(path)) contents.set(path, new Blob([await readFile(path)]));
  return { dataDir: undefined, loadDataDir: contents.get(path) };
}

/** Returns the folder of an idle database, or null. The caller opens it. */
export function takeIdleFolder() {
  return idle.keys().next().value ?? null;
}

/** Keeps the database of this folder for the next spec after it is closed, if its schema has not changed. */
export function keepDatabaseOf(folder) {
  keepable.add(folder);
}

export function isKept(folder) {
  return idle.has(folder);
}

/** PGlite that shares the compiled PostgreSQL between a worker's databases, and keeps them open for the next spec. */
export class PGlite extends pglite.PGlite {
  static async create(options) {
    const folder = options?.dataDir;
    const kept = idle.get(folder);
    idle.delete(folder);
    if (kept !== undefined) return kept;
    const database = await pglite.PGlite.create({
      pgliteWasmModule,
      ...options,
      ...(await archiveOf(folder)),
    });
    if (keepable.has(folder)) await keepWhenClosed(database, folder);
    return database;
  }
}

async function keepWhenClosed(database, folder) {
  const state = await stateOf(database);
  const close = database.close.bind(database);
  database.close = async () => {
    if (idle.size < KEPT_AT_MOST && (await reset(database, state))) {
      idle.set(folder, database);
    } else {
      keepable.delete(folder);
      await close();
    }
  };
}

async function stateOf(database) {
  const tables = await valuesOf(
    database,
    `select oid::regclass::text as value from pg_class where relkind in ('r', 'p') and ${isOurs('relnamespace')}`,
  );
  const rows = [];
  for (const table of tables) {
    const [json] = await valuesOf(database, `select json_agg(t) as value from ${table} t`);
    if (json !== null) rows.push({ table, json: JSON.stringify(json) });
  }
  return { schema: await schemaOf(database), tables, rows };
}

/** Restores the initial rows. @returns false if that fails, or the schema has changed. */
async function reset(database, { schema, tables, rows }) {
  try {
    await database.exec('rollback; reset all; set session_replication_role = replica');
    if ((await schemaOf(database)) !== schema) return false;
    await database.exec(`truncate ${tables.join(', ')} restart identity cascade`);
    for (const { table, json } of rows)
      await database.query(
        `insert into ${table} overriding system value select * from json_populate_recordset(null::${table}, $1)`,
        [json],
      );
    await database.exec('discard all');
    return true;
  } catch {
    return false;
  }
}

async function schemaOf(database) {
  const parts = [
    `select concat_ws(' ', nspname, nspowner, nspacl) from pg_namespace where ${isOurs('oid')}`,
    `select concat_ws(' ', oid::regclass, relkind, relpersistence, relowner, relacl, reloptions, relrowsecurity)
       from pg_class where ${isOurs('relnamespace')}`,
    `select concat_ws(' ', attrelid::regclass, attname, atttypid::regtype, atttypmod, attnotnull, attisdropped, attacl,
         pg_get_expr(adbin, adrelid))
       from pg_attribute join pg_class on pg_class.oid = attrelid left join pg_attrdef on adrelid = attrelid and adnum = attnum
       where attnum > 0 and ${isOurs('relnamespace')}`,
    `select concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) from pg_constraint where ${isOurs('connamespace')}`,
    `select concat_ws(' ', pg_get_indexdef(indexrelid), indisvalid)
       from pg_index join pg_class on pg_class.oid = indexrelid where ${isOurs('relnamespace')}`,
    `select concat_ws(' ', pg_get_triggerdef(oid), tgenabled) from pg_trigger where not tgisinternal`,
    `select concat_ws(' ', oid::regprocedure, prosrc, prokind, proacl, proconfig) from pg_proc where ${isOurs('pronamespace')}`,
    `select concat_ws(' ', typnamespace::regnamespace, typname) from pg_type where ${isOurs('typnamespace')}`,
    `select pg_get_ruledef(oid) from pg_rewrite where ev_class in (select oid from pg_class where ${isOurs('relnamespace')})`,
    `select concat_ws(' ', polname, polrelid::regclass) from pg_policy`,
    `select concat_ws(' ', evtname, evtenabled) from pg_event_trigger`,
    `select concat_ws(' ', rolname, rolsuper, rolcanlogin, rolconfig) from pg_roles`,
    `select concat_ws(' ', setdatabase, setrole, setconfig) from pg_db_role_setting`,
    `select extname::text from pg_extension`,
  ];
  const [digest] = await valuesOf(
    database,
    `select md5(string_agg(part, E'\\n' order by part)) as value from (${parts.join(' union all ')}) schema(part)`,
  );
  return digest;
}

function isOurs(namespace) {
  return `${namespace} not in (select oid from pg_namespace where nspname in ('pg_catalog', 'information_schema', 'pg_toast') or nspname like 'pg\\_%temp\\_%')`;
}

async function valuesOf(database, query) {
  const { rows } = await database.query(query);
  return rows.map(({ value }) => value);
}
