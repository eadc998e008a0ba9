import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getExpectedTwilioSignature } from 'twilio/lib/webhooks/webhooks.js';
import { freePort } from '../../harness/postgres-server.js';
import { demoAccount } from '../../simulator/demo-account.js';
import { formatForm } from '../../simulator/form-parameters.js';
import { PUBLIC_BASE_URL, WEBHOOK_PATH } from '../support/application.js';
import { isListening } from '../support/is-listening.js';
import { createServiceDatabase, type ServiceDatabase } from '../support/service-database.js';
import { endServices, ServiceProcess } from '../support/service-process.js';
import { describeOnServer } from '../support/test-database.js';
import { until } from '../support/until.js';
import { statusParameters } from '../webhooks/post-callback.js';

const NGINX = ['/usr/sbin/nginx', '/usr/bin/nginx', '/opt/homebrew/bin/nginx'].find(existsSync);
const CALLBACKS = 300;
const AT_ONCE = 10;

const describeWithNginx = NGINX === undefined ? describe.skip : describeOnServer;

/** The real nginx with deploy/nginx.conf. Only the ports and the paths are changed. */
describeWithNginx('two replicas behind nginx', () => {
  let folder: string;
  let database: ServiceDatabase;
  let replicas: ServiceProcess[];
  let port: number;
  let stop: () => Promise<void>;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'whatsapp-sms-fallback-nginx-'));
    database = await createServiceDatabase();
    const env = { ...database.env, TRUST_PROXY: 'loopback', PUBLIC_BASE_URL: undefined };
    replicas = await Promise.all([ServiceProcess.start(env), ServiceProcess.start(env)]);
    port = await freePort();
    stop = await startNginx(
      folder,
      port,
      replicas.map(({ origin }) => new URL(origin).port),
    );
  });

  afterAll(async () => {
    await stop();
    await endServices();
    await database.remove();
    await rm(folder, { recursive: true, force: true });
  });

  /** Sends a callback as Twilio does, signed for the public https URL. */
  async function post(sid: string): Promise<number | undefined> {
    const parameters = statusParameters({ MessageSid: sid });
    const signature = getExpectedTwilioSignature(
      demoAccount.authToken,
      PUBLIC_BASE_URL + WEBHOOK_PATH,
      parameters,
    );
    const sent = request({
      host: '127.0.0.1',
      port,
      path: WEBHOOK_PATH,
      method: 'POST',
      rejectUnauthorized: false,
      headers: {
        Host: new URL(PUBLIC_BASE_URL).host,
        'Content-Type': 'application/x-www-form-urlencoded',
        'X-Twilio-Signature': signature,
      },
    });
    sent.end(formatForm(parameters));
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    response.resume();
    return response.statusCode;
  }

  it('share the callbacks and lose none if one replica is killed under load', async () => {
    const sids = Array.from({ length: CALLBACKS }, (_, index) => `SM${index.toString(16).padStart(32, '0')}`);
    const waiting = [...sids];
    const statuses: (number | undefined)[] = [];
    const sendInTurn = async () => {
      for (let sid = waiting.shift(); sid !== undefined; sid = waiting.shift()) {
        statuses.push(await post(sid));
        if (statuses.length === CALLBACKS / 3) replicas[0]?.signal('SIGKILL');
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, sendInTurn));
    expect(new Set(statuses)).toEqual(new Set([204]));
    const stored = await database.use((dataSource) =>
      dataSource.query<{ message_sid: string }[]>(
        'select message_sid from message_events order by message_sid',
      ),
    );
    expect(stored.map((row) => row.message_sid)).toEqual(sids);
    for (const { messages } of replicas) {
      expect(messages).toContainEqual(expect.stringContaining('Message event logged'));
    }
  });
});

async function startNginx(folder: string, port: number, replicas: readonly string[]) {
  const certificate = join(folder, 'certificate.pem');
  const key = join(folder, 'key.pem');
  const subject = ['-subj', '/CN=hooks.example.com', '-days', '2'];
  const output = ['-keyout', key, '-out', certificate];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject, ...output], {
    stdio: 'pipe',
  });
  const config = (await readFile(new URL('../../deploy/nginx.conf', import.meta.url), 'utf8'))
    .replace('listen 443 ssl', `listen 127.0.0.1:${port} ssl`)
    .replace('127.0.0.1:3000', `127.0.0.1:${replicas[0]}`)
    .replace('127.0.0.1:3001', `127.0.0.1:${replicas[1]}`)
    .replace('/etc/nginx/tls/certificate.pem', certificate)
    .replace('/etc/nginx/tls/key.pem', key)
    .replace(
      'http {',
      `http {\n  access_log off;\n  client_body_temp_path ${folder}/body;\n  proxy_temp_path ${folder}/proxy;`,
    );
  const file = join(folder, 'nginx.conf');
  await writeFile(
    file,
    // As root, nginx would start its workers as a user who cannot enter the folder. Otherwise it ignores the setting.
    `daemon off;\nuser root;\npid ${folder}/nginx.pid;\n${config}`,
  );
  const child = spawn(NGINX ?? '', ['-p', folder, '-e', join(folder, 'error.log'), '-c', file], {
    stdio: 'ignore',
  });
  const ended = once(child, 'close');
  await until('nginx to listen', () => {
    if (child.exitCode !== null) throw new Error(`nginx has ended: see ${join(folder, 'error.log')}`);
    return isListening(port);
  });
  return async () => {
    child.kill('SIGQUIT');
    await ended;
  };
}
