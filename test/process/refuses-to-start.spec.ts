import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseLine } from '../support/database-line.js';
import { createServiceDatabase, type ServiceDatabase } from '../support/service-database.js';
import { endServices, requiredEnv, type ServiceEnv, ServiceProcess } from '../support/service-process.js';
import { createEmptyDatabase } from '../support/test-database.js';

/** The complete output of a process that ends with code 1. */
async function refusal(env: ServiceEnv): Promise<string> {
  const service = ServiceProcess.run('main', { PORT: '0', ...requiredEnv, ...env });
  const exit = await service.ended;
  expect(exit).toEqual({ code: 1, signal: null });
  expect(service.output).not.toMatch(/^\s+at /m);
  expect(service.output).not.toContain('s3cr3t');
  return service.output;
}

afterEach(endServices);

describe('the service refuses to start', () => {
  it('without an account and its token, whatever else is set, so that verification is never off', async () => {
    const text = await refusal({ TWILIO_ACCOUNT_SID: undefined, TWILIO_AUTH_TOKEN: ' ', NODE_ENV: 'test' });
    expect(text).toBe(
      '✖ The environment is not complete:\n' +
        '  TWILIO_ACCOUNT_SID is required and not set\n' +
        '  TWILIO_AUTH_TOKEN is required and not set\n' +
        'Each variable is explained in .env.example.\n',
    );
  });

  it('with malformed variables, naming all of them and no value', async () => {
    const text = await refusal({
      TWILIO_SUBACCOUNTS: 'AC1:s3cr3t,s3cr3t',
      DATABASE_URL: 'mysql://user:s3cr3t@host/db',
      LOG_LEVEL: 's3cr3t',
    });
    expect(text.match(/^ {2}[A-Z_]+/gm)).toEqual(['  TWILIO_SUBACCOUNTS', '  DATABASE_URL', '  LOG_LEVEL']);
  });

  it('if nothing listens at DATABASE_URL', async () => {
    expect(await refusal({ DATABASE_URL: 'postgresql://user:s3cr3t@127.0.0.1:1/app' })).toBe(
      '✖ The database cannot be reached: connect ECONNREFUSED 127.0.0.1:1. Is it running, and is DATABASE_URL right?\n',
    );
  });
});

describe('the service refuses to start with a database server', () => {
  let server: Server;
  const sockets = new Set<Socket>();

  beforeEach(async () => {
    server = createServer((socket) => sockets.add(socket.on('error', () => undefined)));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  afterEach(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });

  function url(): string {
    return `postgresql://user:s3cr3t@127.0.0.1:${(server.address() as AddressInfo).port}/app`;
  }

  it('that accepts the connection and never answers', async () => {
    expect(await refusal({ DATABASE_URL: url() })).toMatch(/^✖ The database cannot be reached: .*\n$/);
  });

  it.each([
    [
      'refuses the password',
      ['C28P01', 'Mpassword authentication failed for user "user"'],
      'The database refuses DATABASE_URL: password authentication failed for user "user"',
    ],
    [
      'ends the session',
      ['C57P01', 'Mterminating connection due to administrator command'],
      'The database cannot be reached now: terminating connection due to administrator command. Start again once it takes connections.',
    ],
    [
      'is starting up',
      ['C57P03', 'Mthe database system is starting up'],
      'The database cannot be reached now: the database system is starting up. Start again once it takes connections.',
    ],
  ])('that %s', async (_, reason, message) => {
    // PostgreSQL's ErrorResponse: 'E', its length, fields of a letter and a text, and a terminator.
    const fields = ['SFATAL', 'VFATAL', ...reason, ''];
    const text = Buffer.from(fields.join('\0') + '\0');
    const length = Buffer.alloc(4);
    length.writeInt32BE(4 + text.length);
    server.on('connection', (socket: Socket) => {
      socket.once('data', () => socket.end(Buffer.concat([Buffer.from('E'), length, text])));
    });
    expect(await refusal({ DATABASE_URL: url() })).toBe(`✖ ${message}\n`);
  });

  // The embedded database has one database and one user, and accepts any name for them.
  if (process.env.TEST_DATABASE_URL !== undefined) {
    it('that has no such database', async () => {
      const missing = new URL(process.env.TEST_DATABASE_URL ?? '');
      missing.pathname = '/no_such_database';
      expect(await refusal({ DATABASE_URL: missing.toString() })).toBe(
        '✖ The database refuses DATABASE_URL: database "no_such_database" does not exist\n',
      );
    });
  }
});

describe('the service refuses to start on a database', () => {
  it('that is not migrated, and says how to migrate it', async () => {
    const database = await DatabaseLine.open(await createEmptyDatabase());
    const text = await refusal({ DATABASE_URL: database.url });
    expect(text).toMatch(
      /^✖ The database is not migrated: CreateApplicationTables\d+, .*\nRun: npm run migrate\n$/,
    );
    await database.close();
  });
});

describe('the service refuses to start with a folder', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'whatsapp-sms-fallback-data-'));
  });

  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  it('that it cannot create, and names it', async () => {
    const file = join(folder, 'file');
    await writeFile(file, '');
    const EMBEDDED_DATA_DIR = join(file, 'data');
    expect(await refusal({ EMBEDDED_DATA_DIR })).toBe(
      `✖ The embedded database cannot have the folder ${EMBEDDED_DATA_DIR}: ENOTDIR: not a directory, mkdir '${EMBEDDED_DATA_DIR}'.\n` +
        'Let this user write there, name another folder in EMBEDDED_DATA_DIR, or set DATABASE_URL to a PostgreSQL server.\n',
    );
  });

  // Root ignores file permissions.
  (process.getuid?.() === 0 ? it.skip : it)('that is not writable', async () => {
    await chmod(folder, 0o500);
    for (const EMBEDDED_DATA_DIR of [folder, join(folder, 'data')]) {
      const text = await refusal({ EMBEDDED_DATA_DIR });
      expect(text).toContain(`✖ The embedded database cannot have the folder ${EMBEDDED_DATA_DIR}: EACCES`);
    }
  });
});

describe('the service refuses to start at an address', () => {
  let database: ServiceDatabase;

  beforeEach(async () => {
    database = await createServiceDatabase();
    await database.use((dataSource) => dataSource.query('select 1'));
  });

  afterEach(async () => {
    await database.remove();
  });

  it('that is in use, and names the port', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    expect(await refusal({ ...database.env, HOST: '127.0.0.1', PORT: String(port) })).toBe(
      `✖ Port ${port} is in use. Stop what listens there, or set PORT.\n`,
    );
    other.close();
  });

  it('that this computer does not have', async () => {
    expect(await refusal({ ...database.env, HOST: '203.0.113.1' })).toMatch(
      /^✖ Cannot listen on this address: .*203\.0\.113\.1.* See HOST and PORT\.\n$/,
    );
  });

  it('whose name cannot be resolved', async () => {
    expect(await refusal({ ...database.env, HOST: 'nowhere.invalid' })).toMatch(
      /^✖ Cannot listen on this address: getaddrinfo (ENOTFOUND|EAI_AGAIN) nowhere\.invalid\. See HOST and PORT\.\n$/,
    );
  });
});
