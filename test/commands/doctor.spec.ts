import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { demoAccount } from '../../simulator/demo-account.js';
import type { AccountResources } from '../../simulator/account-api.js';
import { TwilioSimulator } from '../../simulator/twilio-simulator.js';
import { runDoctor } from '../../src/commands/doctor.js';
import type { Finding } from '../../src/commands/finding.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { StartupError } from '../../src/process/startup-error.js';
import { execute } from '../database/application-tables.js';
import { TestApplication, WEBHOOK_PATH } from '../support/application.js';
import { describeWithOwnServer, OwnPostgres } from '../support/own-postgres.js';
import { createEmptyDatabase, createTestDatabase } from '../support/test-database.js';

const NUMBER = '+15550009999';
const SERVICE = 'MG0123456789';

interface Examination {
  readonly exitCode: number;
  readonly findings: Finding[];
  readonly ill: Finding[];
}

describe('npm run doctor', () => {
  let database: DatabaseConnection;
  let application: TestApplication;
  let proxy: Server;
  let proxyOrigin: string;
  /** The target of the proxy, and the Host that it sends there. */
  let behind: { origin: string; host?: string } | null = null;
  const resources: { -readonly [Name in keyof AccountResources]: AccountResources[Name] } = {};

  beforeAll(async () => {
    const usedConnections = new WeakSet<Socket>();
    proxy = createServer((incoming, outgoing) => {
      // The server closes the connection just when a client reuses it.
      if (usedConnections.has(incoming.socket)) {
        incoming.socket.destroy();
        return;
      }
      usedConnections.add(incoming.socket);
      if (behind === null) {
        outgoing.writeHead(502).end();
        return;
      }
      const host = behind.host ?? incoming.headers.host ?? '';
      const onward = request(behind.origin + (incoming.url ?? ''), {
        method: incoming.method,
        headers: { ...incoming.headers, host },
      });
      onward.on('response', (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      });
      incoming.pipe(onward);
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    proxyOrigin = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    database = await createTestDatabase();
    resources.phoneNumbers = [
      { phoneNumber: NUMBER, sms: true },
      { phoneNumber: '+15550008888', sms: false },
    ];
    resources.messagingServices = [
      { sid: SERVICE, statusCallback: `${proxyOrigin}${WEBHOOK_PATH}#rc=5&rp=all` },
    ];
    application = await TestApplication.start({
      database,
      env: { PUBLIC_BASE_URL: undefined },
      simulator: { resources },
    });
  });

  afterEach(() => {
    behind = { origin: application.origin };
  });

  afterAll(async () => {
    await application.close();
    await database.close();
    proxy.close();
  });

  async function examine(
    variables: Record<string, string | undefined> = {},
    open: () => Promise<DatabaseConnection> = () => Promise.resolve(database),
  ): Promise<Examination> {
    const output: string[] = [];
    const patient = {
      variables: {
        TWILIO_ACCOUNT_SID: demoAccount.sid,
        TWILIO_AUTH_TOKEN: demoAccount.authToken,
        TWILIO_API_BASE_URL: application.twilio.baseUrl,
        TWILIO_PHONE_NUMBER_REMINDERS: NUMBER,
        TWILIO_MESSAGING_SERVICE_SID: SERVICE,
        PUBLIC_BASE_URL: proxyOrigin,
        PORT: new URL(application.origin).port,
        ...variables,
      },
      openDatabase: async () => ({ ...(await open()), close: () => Promise.resolve() }),
    };
    const terminal = { print: (text: string) => output.push(text), complain: () => undefined };
    const exitCode = await runDoctor({ json: true }, patient, terminal);
    const findings = JSON.parse(output.join('\n')) as Finding[];
    return { exitCode, findings, ill: findings.filter(({ ok }) => !ok) };
  }

  it('finds nothing if all is well', async () => {
    behind = { origin: application.origin };
    const { exitCode, findings, ill } = await examine();
    expect(ill).toEqual([]);
    expect(exitCode).toBe(0);
    expect(findings.map(({ check }) => check)).toEqual([
      'environment',
      'database',
      'migrations',
      'queue',
      'fallbacks',
      'statistics',
      'twilio account',
      'sender number',
      'messaging service',
      'public URL',
      'signature',
    ]);
    expect(JSON.stringify(findings)).not.toMatch(new RegExp(`${demoAccount.authToken}|5550009999`));
  });

  it('prints a line for each finding, with ✔ or ✖', async () => {
    const output: string[] = [];
    const patient = {
      variables: { TWILIO_ACCOUNT_SID: 'AC1', PORT: 'http' },
      openDatabase: () => Promise.reject(new Error()),
    };
    const terminal = { print: (text: string) => output.push(text), complain: () => undefined };
    expect(await runDoctor({ json: false }, patient, terminal)).toBe(1);
    expect(output).toEqual([
      '✖ environment: TWILIO_AUTH_TOKEN is required and not set. Each variable is explained in .env.example.',
      '✖ environment: PORT must be a port number from 0 to 65535. Each variable is explained in .env.example.',
    ]);
  });

  const faults: [string, Record<string, string | undefined>, string, string][] = [
    ['a wrong token', { TWILIO_AUTH_TOKEN: 'wrong' }, 'twilio account', 'rejects the token'],
    [
      'Twilio out of reach',
      { TWILIO_API_BASE_URL: 'http://127.0.0.1:1' },
      'twilio account',
      'could not be queried',
    ],
    ['a subaccount that there is not', { TWILIO_SUBACCOUNTS: 'AC9:token' }, 'twilio account', 'token of AC9'],
    [
      'a number of somebody else',
      { TWILIO_PHONE_NUMBER_REMINDERS: '+15550007777' },
      'sender number',
      'is not a number of the account',
    ],
    [
      'a number without SMS',
      { TWILIO_PHONE_NUMBER_REMINDERS: '+15550008888' },
      'sender number',
      'cannot send SMS',
    ],
    [
      'an unknown Messaging Service',
      { TWILIO_MESSAGING_SERVICE_SID: 'MG9' },
      'messaging service',
      'did not return MG9',
    ],
    ['no public URL', { PUBLIC_BASE_URL: undefined }, 'public URL', 'it is unknown'],
    [
      'a public URL without a server',
      { PUBLIC_BASE_URL: 'http://localhost:2' },
      'public URL',
      'ECONNREFUSED',
    ],
  ];

  it.each(faults)('finds %s', async (_, variables, check, found) => {
    const { exitCode, ill } = await examine(variables);
    expect(exitCode).toBe(1);
    expect(ill).toContainEqual({
      check,
      ok: false,
      found: expect.stringContaining(found) as unknown,
      advice: expect.stringMatching(/\w/) as unknown,
    });
  });

  it('finds a Messaging Service that reports to another URL', async () => {
    const { ill } = await examine({ PUBLIC_BASE_URL: application.origin });
    expect(ill).toEqual([
      {
        check: 'messaging service',
        ok: false,
        found: `${SERVICE} reports to ${proxyOrigin}${WEBHOOK_PATH}`,
        advice: `Set its Delivery Status Callback to ${application.origin}${WEBHOOK_PATH}#rc=5&rp=all`,
      },
    ]);
  });

  it('finds a proxy that does not forward the webhook', async () => {
    behind = null;
    const { ill } = await examine();
    expect(ill).toMatchObject([
      { check: 'public URL', found: expect.stringContaining('answers 502 instead of 403') as unknown },
    ]);
  });

  it('finds a proxy that forwards its own host and port', async () => {
    const { host } = new URL(application.origin);
    behind = { origin: application.origin, host: host.replace('127.0.0.1', 'localhost') };
    const { ill } = await examine();
    expect(ill).toEqual([
      {
        check: 'signature',
        ok: false,
        found: `the service checks signatures against the wrong host and port: http://${behind.host ?? ''} instead of ${proxyOrigin}`,
        advice: `Start the service with PUBLIC_BASE_URL=${proxyOrigin}`,
      },
    ]);
    behind = { origin: application.origin, host };
    expect((await examine()).ill[0]?.found).toContain('the wrong port: ');
  });

  it('finds a service that checks against another scheme', async () => {
    const other = await TestApplication.start({
      database,
      env: { PUBLIC_BASE_URL: proxyOrigin.replace('http:', 'https:') },
    });
    behind = { origin: other.origin };
    const { ill } = await examine();
    await other.close();
    expect(ill).toMatchObject([{ found: expect.stringContaining('the wrong scheme: https:') as unknown }]);
  });

  it('finds a service that has another token', async () => {
    const other = await TestApplication.start({
      database,
      env: { PUBLIC_BASE_URL: proxyOrigin, TWILIO_AUTH_TOKEN: 'another' },
    });
    behind = { origin: other.origin };
    const { ill } = await examine();
    await other.close();
    expect(ill).toMatchObject([
      { check: 'signature', advice: expect.stringContaining('the same TWILIO_AUTH_TOKEN') as unknown },
    ]);
  });

  it('says for each shared key whether the service accepts it', async () => {
    const [OLD, NEW, OTHER] = [
      'webhooks_sharedkey_old',
      'webhooks_sharedkey_new',
      'webhooks_sharedkey_other',
    ];
    const other = await TestApplication.start({
      database,
      env: {
        PUBLIC_BASE_URL: proxyOrigin,
        TWILIO_WEBHOOK_SHARED_KEYS: `${OLD}:s3cr3t-1,${NEW}:s3cr3t-2`,
      },
    });
    behind = { origin: other.origin };
    const TWILIO_WEBHOOK_SHARED_KEYS = `${OLD}:s3cr3t-1,${NEW}:s3cr3t-wrong,${OTHER}:s3cr3t-3`;
    const { exitCode, findings } = await examine({ TWILIO_WEBHOOK_SHARED_KEYS });
    const events = await other.query('select from message_events where message_sid like $1', ['SM000%']);
    await other.close();
    const advice = expect.stringContaining('the same TWILIO_WEBHOOK_SHARED_KEYS');
    const check = 'shared key';
    const probe = (keyId: string, end: string) => `a probe signed with the shared key ${keyId} is ${end}`;
    expect(exitCode).toBe(1);
    expect(findings.slice(-4)).toEqual([
      { check: 'signature', ok: true, found: 'a correctly signed probe is accepted', advice: null },
      { check, ok: true, found: probe(OLD, 'accepted'), advice: null },
      { check, ok: false, found: probe(NEW, 'refused'), advice },
      { check, ok: false, found: probe(OTHER, 'refused'), advice },
    ]);
    expect(events).toHaveLength(1);
    expect(JSON.stringify(findings)).not.toContain('s3cr3t');
  });

  it('finds an unreachable database and one that is not migrated', async () => {
    const away = await examine({}, () =>
      Promise.reject(new StartupError('The database cannot be reached: refused.')),
    );
    expect(away.ill).toMatchObject([{ check: 'database', found: 'The database cannot be reached: refused' }]);
    const empty = await createEmptyDatabase();
    const { ill } = await examine({}, () => Promise.resolve(empty));
    await empty.close();
    expect(ill).toMatchObject([{ check: 'migrations', advice: 'npm run migrate' }]);
  });

  describeWithOwnServer('finds a server', () => {
    it('with fewer connections than the service needs', async () => {
      const server = await OwnPostgres.start({ max_connections: '20' });
      try {
        await server.migrate();
        const { ill } = await examine({ DATABASE_URL: server.url }, () => Promise.resolve(server.connection));
        expect(ill).toMatchObject([
          {
            check: 'connections',
            found: 'this replica opens up to 21, and the server allows 17 in all',
            advice: "Raise the server's max_connections",
          },
        ]);
      } finally {
        await server.close();
      }
    });
  });

  // The embedded database has as many connections as the service needs.
  if (process.env.TEST_DATABASE_URL !== undefined) {
    it('finds a database that allows fewer connections than the service needs', async () => {
      const limited = await createTestDatabase();
      const DATABASE_URL = limited.client.connectionString ?? '';
      const name = new URL(DATABASE_URL).pathname.slice(1);
      await execute(limited, `alter database ${name} connection limit 20`);
      const { ill } = await examine({ DATABASE_URL }, () => Promise.resolve(limited));
      expect(ill).toMatchObject([
        {
          check: 'connections',
          found: 'this replica opens up to 21, and the database allows 20 in all',
          advice: `alter database ${name} connection limit -1`,
        },
      ]);
      await limited.close();
    });
  }

  it('finds events that are not counted', async () => {
    const idle = await createTestDatabase();
    await execute(
      idle,
      `insert into message_event_outbox (message_sid, due_at) values ('SMold', now() - interval '20 minutes')`,
    );
    const { ill } = await examine({}, () => Promise.resolve(idle));
    await idle.close();
    expect(ill).toMatchObject([
      { check: 'statistics', found: expect.stringContaining('stalled for 20 minutes') as unknown },
    ]);
  });

  it('finds overdue SMS and the outage that the service has noticed', async () => {
    const waiting = await createTestDatabase();
    await execute(
      waiting,
      `insert into sms_fallbacks (original_message_sid, message_event_id, account_sid, reason, created_at, next_attempt_at)
       values ('SM1', gen_random_uuid(), 'AC9', 'twilio_unavailable', now() - interval '20 minutes', now() + interval '1 minute');
       insert into twilio_failures (account_sid, operation, reason, error_code, failing_since, last_failed_at, failures)
       values ('AC9', 'send', 'bad_token', '20003', now() - interval '20 minutes', now(), 9)`,
    );
    const { ill } = await examine({}, () => Promise.resolve(waiting));
    await waiting.close();
    expect(ill).toMatchObject([
      { check: 'fallbacks', found: 'overdue for more than 15 minutes: 1 SMS' },
      {
        check: 'twilio outage',
        found:
          'AC9 has been unusable for 20 minutes, 1 SMS wait: Twilio rejects the auth token of the account',
        advice: expect.stringContaining('Copy the token') as unknown,
      },
    ]);
  });

  it('finds a messages.twilio_sid whose changed type makes its index useless', async () => {
    const altered = await createTestDatabase();
    await execute(altered, 'alter table messages alter twilio_sid type char(34)');
    const { ill } = await examine({}, () => Promise.resolve(altered));
    await altered.close();
    expect(ill).toMatchObject([
      { check: 'messages', found: expect.stringContaining('twilio_sid is character(34) without') as unknown },
    ]);
  });

  it("finds rows that the application's messages refuses and tables that the migration would miss", async () => {
    const altered = await createTestDatabase();
    await execute(altered, 'alter table messages add tenant_id int not null');
    const { ill } = await examine({}, () => Promise.resolve(altered));
    await altered.close();
    expect(ill).toEqual([
      {
        check: 'messages',
        ok: false,
        found: 'messages.tenant_id is NOT NULL without a default, and the service does not fill it',
        advice: expect.stringContaining('alter column tenant_id set default') as unknown,
      },
    ]);
    const elsewhere = await createEmptyDatabase();
    await execute(elsewhere, 'create table "Message" (id text)');
    const unmigrated = await examine({}, () => Promise.resolve(elsewhere));
    await elsewhere.close();
    expect(unmigrated.ill).toMatchObject([
      { check: 'migrations' },
      { check: 'tables', found: expect.stringContaining('public."Message"') as unknown },
    ]);
  });

  describe('the senders of companies', () => {
    const own = { phoneNumber: NUMBER, sms: true };
    const WITHOUT_SMS = '+15550008888';
    const OF_SUBACCOUNT = '+15550007001';
    const SUBACCOUNT = 'AC77777777777777777777777777777777';
    let twilio: TwilioSimulator;
    let companies: DatabaseConnection;

    beforeAll(async () => {
      companies = await createTestDatabase();
      twilio = await TwilioSimulator.start({
        accounts: { [demoAccount.sid]: demoAccount.authToken, [SUBACCOUNT]: 'a-token' },
        resources: {
          phoneNumbers: [
            { ...own, accountSid: demoAccount.sid },
            { phoneNumber: WITHOUT_SMS, sms: false, accountSid: demoAccount.sid },
            { phoneNumber: OF_SUBACCOUNT, sms: true, accountSid: SUBACCOUNT },
          ],
        },
      });
    });

    afterAll(async () => {
      await twilio.close();
      await companies.close();
    });

    async function senders(
      rows: readonly (readonly [name: string | null, phoneNumber: string | null])[],
      variables: Record<string, string | undefined> = {},
    ): Promise<Finding[]> {
      const values = rows.map(
        (row) => `(${row.map((text) => (text === null ? 'null' : `'${text}'`)).join()})`,
      );
      await execute(companies, 'delete from companies');
      if (rows.length > 0)
        await execute(companies, `insert into companies (name, phone_number) values ${values.join()}`);
      const { findings } = await examine(
        { TWILIO_MESSAGING_SERVICE_SID: undefined, TWILIO_API_BASE_URL: twilio.baseUrl, ...variables },
        () => Promise.resolve(companies),
      );
      return findings.filter(({ check }) => check === 'company senders');
    }

    const subaccount = { TWILIO_SUBACCOUNTS: `${SUBACCOUNT}:a-token` };
    const noDefault = { TWILIO_PHONE_NUMBER_REMINDERS: undefined };
    const unusableDefault = { TWILIO_PHONE_NUMBER_REMINDERS: WITHOUT_SMS };

    it.each([
      ['+15550009999', '1 company can send SMS'],
      ['whatsapp:+15550009999', '1 company can send SMS, 1 of them with a number that is not in E.164'],
      ['+1 (555) 000-9999', '1 company can send SMS, 1 of them with a number that is not in E.164'],
      [null, '1 company can send SMS, 1 of them from the default sender'],
      ['  ', '1 company can send SMS, 1 of them from the default sender'],
    ])('are well as %j', async (phoneNumber, found) => {
      expect(await senders([['Example Clinic', phoneNumber]])).toEqual([
        { check: 'company senders', ok: true, found, advice: null },
      ]);
    });

    const WITH_DEFAULT = 'Their SMS are sent from the default sender';
    const AFTER_REFUSAL = 'Twilio refuses each of their SMS, which is then sent from the default sender';
    const FAILS = 'Each of their SMS fails';

    it.each([
      ['EXAMPLE', {}, 'is not a phone number with a country code: Clinic (EXAMPLE)', WITH_DEFAULT],
      ['0170 1234567', {}, 'is not a phone number with a country code: Clinic (**** ***4567)', WITH_DEFAULT],
      ['EXAMPLE', noDefault, 'is not a phone number', 'Each of their SMS is skipped as no_sender_number'],
      ['EXAMPLE', unusableDefault, 'is not a phone number', FAILS],
      ['whatsapp:+15550006666', {}, 'no configured account: Clinic (whatsapp:+*******6666)', AFTER_REFUSAL],
      [OF_SUBACCOUNT, {}, 'belongs to no configured account', AFTER_REFUSAL],
      [OF_SUBACCOUNT, noDefault, 'belongs to no configured account', FAILS],
      [WITHOUT_SMS, {}, 'cannot send SMS: Clinic (+*******8888)', AFTER_REFUSAL],
      [WITHOUT_SMS, unusableDefault, 'cannot send SMS', FAILS],
      [null, noDefault, 'no default sender: Clinic', 'Each of their SMS is skipped as no_sender_number'],
    ])('cannot send as %j with %j', async (phoneNumber, variables, found, consequence) => {
      const [finding, ...others] = await senders([['Clinic', phoneNumber]], variables);
      expect(finding).toMatchObject({ ok: false, advice: expect.stringMatching(/\w/) as unknown });
      expect(finding?.found).toContain(found);
      expect(finding?.found).toContain(consequence);
      expect(others).toEqual([]);
    });

    it('can belong to a subaccount', async () => {
      expect(await senders([['Clinic', OF_SUBACCOUNT]], subaccount)).toMatchObject([{ ok: true }]);
    });

    it('are unused if SMS go through a Messaging Service, which excludes subaccounts', async () => {
      const service = { TWILIO_MESSAGING_SERVICE_SID: SERVICE };
      const rows = [['Clinic', 'EXAMPLE']] as const;
      expect(await senders(rows, service)).toMatchObject([
        { ok: true, found: expect.stringContaining('is not used') as unknown },
      ]);
      expect(await senders(rows, { ...service, ...subaccount })).toMatchObject([
        { ok: false, found: expect.stringContaining('TWILIO_SUBACCOUNTS only') as unknown },
      ]);
    });

    it('are compared with one list of the account, and 20 companies are named', async () => {
      const rows = Array.from({ length: 2_345 }, (_, index) => [`Clinic ${index}`, '+15550006666'] as const);
      const before = twilio.requests.length;
      const [finding] = await senders([...rows, ['Without name', null]]);
      const lists = twilio.requests
        .slice(before)
        .filter(
          ({ path, parameters }) => path.includes('IncomingPhoneNumbers') && !('PhoneNumber' in parameters),
        );
      expect(lists).toHaveLength(1);
      expect(finding?.found).toContain(' and 2,325 companies more');
      expect(finding?.found.match(/Clinic \d+/g)).toHaveLength(20);
    });

    it('are printed short and on one line, with the id if a company has no name', async () => {
      const [finding] = await senders([
        [null, `+1 555 ${'x'.repeat(100)}`],
        ['Call +15551234567\u001b[2J\n', 'EXAMPLE'],
      ]);
      expect(finding?.found).toMatch(/[0-9a-f-]{36} \(\+1 555 x{33}…\)/);
      expect(finding?.found).toContain('Call +*******4567 [2J (EXAMPLE)');
    });

    it('are checked as far as possible if Twilio is unreachable', async () => {
      const unreachable = { TWILIO_API_BASE_URL: 'http://127.0.0.1:1' };
      const rows = [
        ['Clinic', '+15550006666'],
        ['Other', 'EXAMPLE'],
      ] as const;
      expect(await senders(rows, unreachable)).toMatchObject([
        { ok: false, found: expect.stringContaining('did not list') as unknown },
        {
          ok: false,
          found: expect.stringContaining('is not a phone number with a country code: Other') as unknown,
        },
      ]);
    });

    it('need no report without companies', async () => {
      expect(await senders([])).toEqual([]);
    });
  });

  it('finds jobs that no worker takes', async () => {
    const idle = await createTestDatabase();
    await execute(
      idle,
      `select whatsapp_sms_fallback_queue.add_job('domain_event', '{}', run_at => now() - interval '1 hour')`,
    );
    const { ill } = await examine({}, () => Promise.resolve(idle));
    await idle.close();
    expect(ill).toMatchObject([{ check: 'queue', found: '1 job waiting, the first for 60 minutes' }]);
  });
});
