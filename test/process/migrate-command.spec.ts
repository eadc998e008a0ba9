import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrations } from '../../migrations/migrations.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { APPLICATION_TABLES, execute } from '../database/application-tables.js';
import { DatabaseLine } from '../support/database-line.js';
import { endServices, type ServiceEnv, ServiceProcess } from '../support/service-process.js';
import { createEmptyDatabase } from '../support/test-database.js';

const names = migrations.map(({ name }) => name);

async function migrate(env: ServiceEnv): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const command = ServiceProcess.run('commands/main', env, ['migrate']);
  const { code } = await command.ended;
  expect(command.output).not.toMatch(/^\s+at /m);
  expect(command.output).not.toContain('s3cr3t');
  return { code, stdout: command.stdout, stderr: command.stderr };
}

describe('npm run migrate', () => {
  let empty: DatabaseConnection;
  let database: DatabaseLine;

  beforeEach(async () => {
    empty = await createEmptyDatabase();
    database = await DatabaseLine.open(empty);
  });

  afterEach(async () => {
    await endServices();
    await database.close();
  });

  it('needs only DATABASE_URL, says what it did, and does nothing the second time', async () => {
    const env = { DATABASE_URL: database.url };
    const { host, pathname } = new URL(database.url);
    const named = `Database: PostgreSQL at ${host}, database ${pathname.slice(1)}`;
    expect(await migrate(env)).toEqual({
      code: 0,
      stdout: [named, ...names.map((name) => `✔ ${name}`), 'The database is up to date now.', ''].join('\n'),
      stderr: '',
    });
    expect(await migrate(env)).toEqual({
      code: 0,
      stdout: `${named}\nThe database was up to date already.\n`,
      stderr: '',
    });
  });

  it('names the embedded database and the reason', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'whatsapp-sms-fallback-data-'));
    const { code, stdout } = await migrate({ EMBEDDED_DATA_DIR: folder });
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^Database: embedded, in ${folder} \\(DATABASE_URL is not set\\)\n`));
    await rm(folder, { recursive: true, force: true });
  });

  it('says what is wrong with DATABASE_URL', async () => {
    const { code, stderr } = await migrate({ DATABASE_URL: 'postgresql//user:s3cr3t@host/db' });
    expect(code).toBe(1);
    expect(stderr).toBe(
      '✖ The environment is not complete:\n' +
        '  DATABASE_URL must be a PostgreSQL URL, special characters percent-encoded: postgresql://user:password@host:5432/database\n' +
        'Each variable is explained in .env.example.\n',
    );
  });

  // The embedded database has one user, with every right.
  if (process.env.TEST_DATABASE_URL !== undefined) {
    it('names the missing rights of the user of DATABASE_URL, and ends', async () => {
      const url = new URL(String(empty.client.connectionString));
      const role = `restricted_${randomUUID().replaceAll('-', '')}`;
      await execute(empty, `create role ${role} login`);
      try {
        // This user can create the schema of the job queue, but no tables in `public`.
        await execute(empty, `grant create on database ${url.pathname.slice(1)} to ${role}`);
        // Everyone can create some before PostgreSQL 15.
        await execute(empty, 'revoke create on schema public from public');
        url.username = role;
        const { code, stderr } = await migrate({ DATABASE_URL: url.href });
        expect(stderr).toBe(
          '✖ The database refused: permission denied for schema public. Grant the permission to the user of DATABASE_URL, or use another one.\n',
        );
        expect(code).toBe(1);
      } finally {
        await execute(empty, `drop owned by ${role} cascade`);
        await execute(empty, `drop role ${role}`);
      }
    });
  }

  it('says that nothing listens at DATABASE_URL', async () => {
    const { code, stderr } = await migrate({ DATABASE_URL: 'postgresql://user:s3cr3t@localhost:1/db' });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^✖ The database cannot be reached: connect ECONNREFUSED .*\n$/);
  });

  it('names what the tables of an application lack', async () => {
    await execute(empty, APPLICATION_TABLES.replace('varchar(34) unique', 'varchar(34)'));
    const { code, stderr } = await migrate({ DATABASE_URL: database.url });
    expect(code).toBe(1);
    expect(stderr).toBe(
      '✖ The database cannot be migrated: messages.twilio_sid must be unique: alter table messages add unique (twilio_sid)\n' +
        `That was ${names[0]}. Those before it are applied, and the next try begins with it.\n`,
    );
  });
});
