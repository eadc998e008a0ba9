import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { chmod, chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { PostgresServer } from '../../harness/postgres-server.js';
import { openDatabase } from '../../src/database/open-database.js';
import { endServices, requiredEnv, ServiceProcess } from '../support/service-process.js';
import { describeOnServer } from '../support/test-database.js';
import { until } from '../support/until.js';

/** A separate server with ssl = on, whose certificate is signed by our own authority. */
describeOnServer('TLS to the database', () => {
  let folder: string;
  let server: PostgresServer;
  let port: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tls-'));
    await chmod(folder, 0o755);
    authority('ca');
    authority('other-ca');
    certificate('server', 'localhost');
    certificate('other-host', 'db.example.com');
    certificate('expired', 'localhost', '-days', '-1');
    certificate('client', 'postgres');
    server = await PostgresServer.start(join(folder, 'server'));
    port = new URL(server.url).port;
    await change({
      ssl_cert_file: 'server.crt',
      ssl_key_file: 'server.key',
      ssl_ca_file: 'ca.crt',
      ssl: 'on',
    });
  });

  afterAll(async () => {
    await endServices();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });

  function openssl(...args: string[]): void {
    execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  }

  function authority(name: string): void {
    const [key, file, subject] = [`${name}.key`, `${name}.crt`, `/CN=${name}`];
    openssl(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      key,
      '-out',
      file,
      '-subj',
      subject,
      '-days',
      '2',
    );
  }

  function certificate(name: string, host: string, ...validity: string[]): void {
    const [key, request, file] = [`${name}.key`, `${name}.csr`, `${name}.crt`];
    openssl(
      'req',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      key,
      '-out',
      request,
      '-subj',
      `/CN=${host}`,
      '-addext',
      `subjectAltName=DNS:${host}`,
    );
    const signing = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-copy_extensions', 'copy'];
    openssl(
      'x509',
      '-req',
      '-in',
      request,
      '-out',
      file,
      ...signing,
      ...(validity.length > 0 ? validity : ['-days', '2']),
    );
  }

  const path = (name: string) => join(folder, name);

  /** Files are copied to a place that the server's user can read. */
  async function change(settings: Readonly<Record<string, string>>): Promise<void> {
    const client = new Client({ connectionString: server.url, ssl: false });
    await client.connect();
    const [{ uid, gid } = { uid: 0, gid: 0 }] = process.getuid?.() === 0 ? [postgresUser()] : [];
    for (const [name, value] of Object.entries(settings)) {
      let target = value;
      if (name.endsWith('_file')) {
        target = join(folder, 'server', value);
        await writeFile(target, await readFile(path(value)), { mode: 0o600 });
        if (uid > 0) await chown(target, uid, gid);
      }
      await client.query(`alter system set ${name} = '${target}'`);
    }
    await client.query('select pg_reload_conf()');
    // A reload takes a moment, and a new session has the new settings.
    for (const [name, value] of Object.entries(settings)) await untilShown(name, value);
    await client.end();
  }

  async function untilShown(name: string, value: string): Promise<void> {
    await until(`${name} to be ${value}`, async () => {
      const client = new Client({ connectionString: server.url, ssl: false });
      await client.connect();
      const { rows } = await client.query<{ shown: string }>('select current_setting($1) as shown', [name]);
      await client.end();
      return rows[0]?.shown.endsWith(value);
    });
  }

  function postgresUser(): { uid: number; gid: number } {
    const id = (option: string) => Number(execFileSync('id', [option, 'postgres'], { encoding: 'utf8' }));
    return { uid: id('-u'), gid: id('-g') };
  }

  const url = (query: string, host = 'localhost') =>
    `postgresql://postgres@${host}:${port}/postgres?${query}`;

  /** @returns the reason of the refusal, or undefined. */
  async function refusal(query: string, host?: string): Promise<string | undefined> {
    try {
      await openDatabase({ DATABASE_URL: url(query, host), EMBEDDED_DATA_DIR: '' });
      return undefined;
    } catch (error) {
      expect((error as Error).name).toBe('StartupError');
      return (error as Error).message;
    }
  }

  it.each([
    'sslmode=verify-full&sslrootcert=CA',
    'sslmode=require&sslrootcert=CA',
    'sslmode=no-verify',
    'uselibpqcompat=true&sslmode=require',
    'uselibpqcompat=true&sslmode=verify-ca&sslrootcert=CA',
    'sslmode=disable',
  ])('works with %s', async (query) => {
    expect(await refusal(query.replace('CA', path('ca.crt')))).toBeUndefined();
  });

  it('accepts another host name with verify-ca only', async () => {
    const ca = `sslrootcert=${path('ca.crt')}`;
    expect(await refusal(`uselibpqcompat=true&sslmode=verify-ca&${ca}`, '127.0.0.1')).toBeUndefined();
    expect(await refusal(`sslmode=verify-full&${ca}`, '127.0.0.1')).toMatch(
      /certificate is for another host name \(ERR_TLS_CERT_ALTNAME_INVALID: .*uselibpqcompat=true&sslmode=verify-ca/,
    );
  });

  it.each(['sslmode=require', 'sslmode=verify-full', 'ssl=true', 'sslmode=verify-full&sslrootcert=OTHER'])(
    'names an unknown authority, with %s',
    async (query) => {
      expect(await refusal(query.replace('OTHER', path('other-ca.crt')))).toMatch(
        /certificate is (signed by an authority that is not known here|not signed by the authority of sslrootcert) \(.*sslmode=verify-full&sslrootcert=\/path/,
      );
    },
  );

  it('reports its problem at the start of the service and in migrate, without a stack', async () => {
    for (const [program, ...args] of [['main'], ['commands/main', 'migrate']] as const) {
      const env = { ...requiredEnv, DATABASE_URL: url('sslmode=verify-full') };
      const process = ServiceProcess.run(program, env, args);
      expect(await process.ended).toEqual({ code: 1, signal: null });
      expect(process.output).toContain('authority that is not known here');
      expect(process.output).not.toMatch(/^\s+at /m);
    }
  });

  it.each([
    ['no such file', 'sslmode=verify-full&sslrootcert=/no/such/ca.pem', 'cannot be read: ENOENT'],
    [
      'no certificate',
      'sslmode=verify-full&sslrootcert=NOTHING',
      'certificate is signed by an authority|TLS',
    ],
    ['verify-ca without an authority', 'uselibpqcompat=true&sslmode=verify-ca', 'sslmode=verify-ca requires'],
  ])('names %s', async (_, query, reason) => {
    await writeFile(path('nothing.pem'), 'no certificate');
    expect(await refusal(query.replace('NOTHING', path('nothing.pem')))).toMatch(new RegExp(reason));
  });

  it.each([
    ['for another host', 'other-host', 'is for another host name'],
    ['that has expired', 'expired', 'has expired'],
  ])('names a certificate %s', async (_, name, reason) => {
    await change({ ssl_cert_file: `${name}.crt`, ssl_key_file: `${name}.key` });
    try {
      await expect(refusal(`sslmode=verify-full&sslrootcert=${path('ca.crt')}`)).resolves.toContain(reason);
    } finally {
      await change({ ssl_cert_file: 'server.crt', ssl_key_file: 'server.key' });
    }
  });

  it('names a self-signed certificate, and trusts it if it is configured', async () => {
    openssl(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      'self.key',
      '-out',
      'self.crt',
      '-subj',
      '/CN=localhost',
      '-addext',
      'subjectAltName=DNS:localhost',
      '-days',
      '2',
    );
    await change({ ssl_cert_file: 'self.crt', ssl_key_file: 'self.key' });
    try {
      expect(await refusal('sslmode=verify-full')).toMatch(
        /is self-signed .*sslrootcert=\/path\/to\/server.crt/,
      );
      expect(await refusal(`sslmode=verify-full&sslrootcert=${path('self.crt')}`)).toBeUndefined();
    } finally {
      await change({ ssl_cert_file: 'server.crt', ssl_key_file: 'server.key' });
    }
  });

  it('names a missing client certificate and an unknown one, and accepts the right one', async () => {
    const hba = join(folder, 'server/cluster/pg_hba.conf');
    const before = await readFile(hba, 'utf8');
    await writeFile(
      hba,
      'hostssl all all all trust clientcert=verify-ca\nhostnossl all all 127.0.0.1/32 trust\n',
    );
    await change({});
    const ca = `sslmode=verify-full&sslrootcert=${path('ca.crt')}`;
    try {
      expect(await refusal(ca)).toContain('sslcert=/path/to/client.crt');
      const other = `&sslcert=${path('other-ca.crt')}&sslkey=${path('other-ca.key')}`;
      expect(await refusal(ca + other)).toContain('sslcert=/path/to/client.crt');
      expect(
        await refusal(`${ca}&sslcert=${path('client.crt')}&sslkey=${path('client.key')}`),
      ).toBeUndefined();
      await writeFile(hba, 'hostssl all all all trust\n');
      process.kill(server.pid, 'SIGHUP');
      await until('the rules to be read', async () => (await refusal('sslmode=disable')) !== undefined);
      expect(await refusal('sslmode=disable')).toMatch(
        /no encryption.*It wants TLS: add sslmode=verify-full/,
      );
    } finally {
      await writeFile(hba, before);
      await server.stopAtOnce();
      await server.startAgain();
    }
  });

  it('names a server without TLS', async () => {
    await change({ ssl: 'off' });
    try {
      expect(await refusal('sslmode=verify-full')).toMatch(/^The database has no TLS .*sslmode=disable/);
    } finally {
      await change({ ssl: 'on' });
    }
  });
});
