import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PostgresServer } from '../../harness/postgres-server.js';
import { demoAccount } from '../../simulator/demo-account.js';
import { runDoctor } from '../../src/commands/doctor.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { openDatabase } from '../../src/database/open-database.js';
import { findOldVersion, findReadOnly, type ServerFacts } from '../../src/database/preconditions.js';
import { endServices, requiredEnv, ServiceProcess } from '../support/service-process.js';
import { createEmptyDatabase, describeOnServer } from '../support/test-database.js';
import { execute } from './application-tables.js';

const FACTS: ServerFacts = {
  versionNumber: 140_000,
  version: '14.0',
  encoding: 'UTF8',
  isStandby: false,
  isReadOnly: false,
  schema: 'public',
  searchPath: 'public',
  role: 'app',
  isSingleSession: false,
};

describe("the server's version", () => {
  it.each([
    [130_014, '13.14'],
    [90_624, '9.6.24'],
  ])('is too old as %i, and the refusal names it', (versionNumber, version) => {
    expect(findOldVersion({ ...FACTS, versionNumber, version })?.found).toBe(
      `The server is PostgreSQL ${version}, and the service needs 14 or newer`,
    );
  });

  it.each([140_000, 150_018, 180_006])('is accepted as %i', (versionNumber) => {
    expect(findOldVersion({ ...FACTS, versionNumber })).toBeNull();
  });
});

/** The same refusal from the service, from migrate, and as a finding of the doctor. */
async function expectRefusal(url: string, check: string, ...texts: string[]): Promise<void> {
  for (const [program, ...args] of [['main'], ['commands/main', 'migrate']] as const) {
    const process = ServiceProcess.run(program, { ...requiredEnv, PORT: '0', DATABASE_URL: url }, args);
    expect(await process.ended).toEqual({ code: 1, signal: null });
    expect(process.output).not.toMatch(/^\s+at /m);
    for (const text of texts) expect(process.output).toContain(text);
  }
  const output: string[] = [];
  const patient = {
    variables: {
      TWILIO_ACCOUNT_SID: demoAccount.sid,
      TWILIO_AUTH_TOKEN: demoAccount.authToken,
      TWILIO_API_BASE_URL: 'http://127.0.0.1:1',
      DATABASE_URL: url,
    },
    openDatabase,
  };
  await runDoctor({ json: false }, patient, { print: (line: string) => output.push(line) });
  const line = output.find((text) => text.startsWith(`✖ ${check}: `));
  for (const text of texts) expect(line).toContain(text);
}

describeOnServer('an unsuitable database', () => {
  let server: DatabaseConnection;

  beforeAll(async () => {
    server = await createEmptyDatabase();
  });

  afterAll(async () => {
    await endServices();
    await server.close();
  });

  async function withDatabase(
    options: string,
    work: (url: string, name: string) => Promise<void>,
  ): Promise<void> {
    const name = `precondition_${randomUUID().replaceAll('-', '')}`;
    await execute(server, `create database ${name} ${options}`);
    const url = new URL(server.client.connectionString ?? '');
    url.pathname = `/${name}`;
    try {
      await work(url.href, name);
    } finally {
      await execute(server, `drop database ${name} with (force)`);
    }
  }

  it.each(['SQL_ASCII', 'LATIN1', 'WIN1252', 'EUC_JP'])('is encoded in %s', async (encoding) => {
    await withDatabase(`encoding '${encoding}' template template0 locale 'C'`, async (url) => {
      await expectRefusal(url, 'encoding', `encoded in ${encoding}`, "encoding 'UTF8' template template0");
    });
  });

  it('has read-only transactions', async () => {
    await withDatabase('', async (url, name) => {
      await execute(server, `alter database ${name} set default_transaction_read_only = on`);
      await expectRefusal(
        url,
        'database',
        'default_transaction_read_only is on (database)',
        'Name the server',
      );
    });
    expect(findReadOnly({ ...FACTS, isReadOnly: true })?.remedy).toContain(
      'set default_transaction_read_only = off',
    );
  });

  it('is a standby', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'standby-'));
    await chmod(folder, 0o777);
    const standby = await PostgresServer.start(join(folder, 'server'));
    try {
      await standby.stopAtOnce();
      await writeFile(join(folder, 'server/cluster/standby.signal'), '');
      await standby.startAgain();
      await expectRefusal(standby.url, 'database', 'is a standby, which cannot write', 'Name the primary');
    } finally {
      await standby.close();
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('has a URL with a schema that is ignored', async () => {
    const url = `${server.client.connectionString ?? ''}?schema=app`;
    await expectRefusal(url, 'schema', 'DATABASE_URL has schema=app', 'options=-c%20search_path%3Dapp');
  });
});
