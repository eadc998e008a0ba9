import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { whatsappStatusParameters } from '../../simulator/callback-parameters.js';
import { demoAccount } from '../../simulator/demo-account.js';
import { TwilioSimulator } from '../../simulator/twilio-simulator.js';
import { PUBLIC_BASE_URL, WEBHOOK_URL } from '../support/application.js';
import { DEFAULT_FROM } from '../support/fallbacks.js';
import { randomMessageSid } from '../support/seed.js';
import { endServices, requiredEnv, type ServiceEnv, ServiceProcess } from '../support/service-process.js';
import { until } from '../support/until.js';

const TO = '+15557654321';
const TEXT = 'Your table is booked.';

/** What the README's first step sets, without a database: one process, one folder. */
describe('the service of a small office, on the embedded database and without tables of its own', () => {
  let folder: string;
  let twilio: TwilioSimulator;
  let origin = '';

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'whatsapp-sms-fallback-office-'));
    twilio = await TwilioSimulator.start({
      accounts: { [demoAccount.sid]: demoAccount.authToken },
      rewriteUrl: (url) => url.replace(PUBLIC_BASE_URL, origin),
    });
  });

  afterEach(async () => {
    await endServices();
    await twilio.close();
    await rm(folder, { recursive: true, force: true });
  });

  const env = (dataDir = 'data'): ServiceEnv => ({
    EMBEDDED_DATA_DIR: join(folder, dataDir),
    ORIGINAL_MESSAGES: 'twilio',
    TWILIO_PHONE_NUMBER_REMINDERS: DEFAULT_FROM,
    TWILIO_API_BASE_URL: twilio.baseUrl,
  });

  async function start(dataDir?: string): Promise<ServiceProcess> {
    const service = await ServiceProcess.start(env(dataDir));
    ({ origin } = service);
    return service;
  }

  async function stop(service: ServiceProcess): Promise<void> {
    service.signal('SIGTERM');
    expect(await service.ended).toMatchObject({ code: 0 });
  }

  async function fail(messageSid: string): Promise<void> {
    const parameters = whatsappStatusParameters({
      messageSid,
      status: 'undelivered',
      errorCode: 63049,
      to: `whatsapp:${TO}`,
      from: 'whatsapp:+15550001111',
    });
    expect(await twilio.sendCallback({ url: WEBHOOK_URL, parameters })).toMatchObject({ status: 204 });
  }

  async function run(variables: ServiceEnv, ...args: string[]) {
    const command = ServiceProcess.run('commands/main', { ...requiredEnv, ...variables }, args);
    const { code } = await command.ended;
    const { stdout, stderr } = command;
    expect(stderr).not.toMatch(/^\s+at /m);
    return { code, stdout, stderr };
  }

  it('sends the SMS, and continues from a backup of its stopped database', async () => {
    const first = await start();
    expect(first.lines.filter(({ level }) => level === 'error')).toEqual([]);
    expect(first.lines).toContainEqual(expect.objectContaining({ originalMessages: 'twilio' }));
    const sid = randomMessageSid();
    twilio.addMessage({ sid, to: `whatsapp:${TO}`, body: TEXT });
    await fail(sid);
    await until('the SMS', () => twilio.messages.length === 1);
    expect(twilio.messages).toMatchObject([{ to: TO, from: DEFAULT_FROM, body: TEXT }]);
    await until(
      'its delivery',
      () => first.messages.filter((text) => text === 'SMS fallback sent').length === 1,
    );

    const file = join(folder, 'backup.tar.gz');
    const running = await run(env(), 'backup', file);
    expect(running).toMatchObject({ code: 1, stdout: '' });
    expect(running.stderr).toContain('is in use by another process.\nStop that process');
    await stop(first);

    expect(await run(env(), 'backup', file)).toMatchObject({
      code: 0,
      stdout: `Copied the embedded database in ${join(folder, 'data')} to ${file}.\n`,
      stderr: '',
    });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await run(env(), 'backup', file)).toMatchObject({
      code: 1,
      stderr: `✖ The file ${file} exists, and nothing is overwritten.\n`,
    });
    expect((await readdir(folder)).toSorted()).toEqual(['backup.tar.gz', 'data']);

    const occupied = await run(env(), 'restore', file);
    expect(occupied).toMatchObject({ code: 1, stdout: '' });
    expect(occupied.stderr).toContain('is not empty, and nothing is overwritten');
    await rm(join(folder, 'data'), { recursive: true });
    expect(await run(env(), 'restore', file)).toMatchObject({ code: 0, stderr: '' });
    expect((await stat(join(folder, 'data'))).mode & 0o777).toBe(0o700);

    const list = await run(env(), 'fallbacks', 'list', '--json');
    expect(JSON.parse(list.stdout)).toMatchObject([{ originalMessageSid: sid, state: 'sent' }]);
    const second = await start();
    await fail(sid);
    const next = randomMessageSid();
    twilio.addMessage({ sid: next, to: `whatsapp:${TO}`, body: 'The next one' });
    await fail(next);
    await until('the next SMS', () => twilio.messages.length > 1);
    expect(twilio.messages.map(({ body }) => body)).toEqual([TEXT, 'The next one']);
    await stop(second);
  });

  it('says what is wrong with a backup, and leaves nothing behind', async () => {
    await writeFile(join(folder, 'other.tar.gz'), 'This is no archive.');
    await writeFile(join(folder, 'text.gz'), gzipSync('This is no archive either.'));
    await mkdir(join(folder, 'empty'));
    for (const file of ['other.tar.gz', 'text.gz']) {
      expect(await run(env('empty'), 'restore', join(folder, file))).toMatchObject({
        code: 1,
        stderr: '✖ The file is not a backup of an embedded database.\n',
      });
      expect(await readdir(join(folder, 'empty'))).toEqual([]);
    }
    const missing = await run(env('new'), 'restore', join(folder, 'missing.tar.gz'));
    expect(missing).toMatchObject({ code: 1, stdout: '' });
    expect(missing.stderr).toContain('missing.tar.gz cannot be read: ENOENT');
    expect(await run(env('empty'), 'backup', join(folder, 'new.tar.gz'))).toMatchObject({
      code: 1,
      stderr: `✖ There is no embedded database in ${join(folder, 'empty')}. Set EMBEDDED_DATA_DIR to its folder.\n`,
    });
    const onServer = await run({ ...env(), DATABASE_URL: 'postgresql://localhost/db' }, 'backup', 'file');
    expect(onServer).toMatchObject({
      code: 1,
      stderr:
        '✖ DATABASE_URL is set, and this command is for the embedded database: use pg_dump and pg_restore.\n',
    });
    expect((await readdir(folder)).toSorted()).toEqual(['empty', 'other.tar.gz', 'text.gz']);
  });

  it('does not start without a sender, and says which variable to set', async () => {
    const service = ServiceProcess.run('main', {
      ...requiredEnv,
      ...env(),
      TWILIO_PHONE_NUMBER_REMINDERS: undefined,
    });
    expect(await service.ended).toMatchObject({ code: 1 });
    expect(service.stderr).toContain('set TWILIO_PHONE_NUMBER_REMINDERS or TWILIO_MESSAGING_SERVICE_SID');
    expect(await readdir(folder)).toEqual([]);
  });

  it('migrates, and says that the tables of the application are left out', async () => {
    const { code, stdout, stderr } = await run(env(), 'migrate');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(
      'ORIGINAL_MESSAGES is twilio: the tables messages, conversations, and companies are neither created nor checked.',
    );
    expect(stdout).not.toContain('ApplicationTables');
    expect((await run({ ...env(), ORIGINAL_MESSAGES: undefined }, 'migrate')).stdout).toContain(
      '✔ CreateApplicationTables1795996799999\n✔ LinkApplicationTables1795996800004\n',
    );
  });
});
