import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import { demoAccount } from '../../simulator/demo-account.js';
import type { RequestFault } from '../../simulator/faults.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import type { OutageReason } from '../../src/twilio/outage-reasons.js';
import { OutageWatch } from '../../src/twilio/outage-watch.js';
import { TwilioAccounts } from '../../src/twilio/twilio-accounts.js';
import { TwilioOutages } from '../../src/twilio/twilio-outages.js';
import { callApi, withAdminKeys } from '../operations/api.js';
import { pass, runOnce, sendWhatsapp, waiting } from '../status-polling/polling.js';
import { type ApplicationOptions, TestApplication } from '../support/application.js';
import { attemptNow, findFallback, policyFailure, smsFor, untilAllIsDone } from '../support/fallbacks.js';
import { withDomainEventsOptions } from '../support/job-queue.js';
import { seedMessage } from '../support/seed.js';
import { createTestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';
import { outageSamples, twilioStatus, untilDown, untilUp, withOutages } from './outages.js';

const SUBACCOUNT = 'AC77777777777777777777777777777777';
const BEGINS = 'Twilio cannot be used';
const ENDS = 'Twilio can be used again';

const SENT_FIVE_HOURS_AGO = `
insert into message_events (message_sid, message_status, channel, account_sid, payload, created_at)
values ($1, 'sent', 'whatsapp', $2, '{}', now() - interval '5 hours')`;

type Lines = Pick<TestApplication, 'logs'>;

function lines({ logs }: Lines, message: string) {
  return logs.lines.filter((line) => line.message === message);
}

/** Makes the fallback continue at once, however long its next gap would be. */
async function hurry(application: TestApplication, messageSid: string): Promise<void> {
  const fallback = await findFallback(application, messageSid);
  if (fallback !== null) await attemptNow(application, fallback.id);
}

describe('a failure of requests to Twilio', () => {
  let application: TestApplication;
  let fault: RequestFault | null = null;
  let failing: string = demoAccount.sid;

  beforeAll(async () => {
    application = await TestApplication.start({
      env: { ...withAdminKeys, TWILIO_SUBACCOUNTS: `${SUBACCOUNT}:a-token` },
      simulator: { accounts: { [demoAccount.sid]: demoAccount.authToken, [SUBACCOUNT]: 'a-token' } },
      override: withOutages(),
    });
  });

  beforeEach(async () => {
    failing = demoAccount.sid;
    fault = null;
    application.twilio.forget();
    application.logs.lines.length = 0;
    await application.query('delete from twilio_failures');
  });

  afterAll(() => application.close());

  function fail(with_: RequestFault, accountSid: string = demoAccount.sid): void {
    fault = with_;
    failing = accountSid;
    const when = ({ accountSid: asking }: { accountSid?: string | undefined }) =>
      fault !== null && asking === failing;
    application.twilio.failNext({ on: 'any', times: Infinity, fault: with_, when });
  }

  const kinds: [string, RequestFault, OutageReason, string][] = [
    ['a wrong token', { type: 'error', status: 401, code: 20003 }, 'bad_token', '20003'],
    [
      'an account that Twilio does not know',
      { type: 'error', status: 404, code: 20404 },
      'unknown_account',
      '20404',
    ],
    ['a suspended account', { type: 'error', status: 403, code: 20005 }, 'account_suspended', '20005'],
    [
      'a suspended account, as 400',
      { type: 'error', status: 400, code: 10001 },
      'account_suspended',
      '10001',
    ],
    ['too many requests', { type: 'error', status: 429, code: 20429 }, 'rate_limited', '20429'],
    ['503', { type: 'error', status: 503, code: 20503 }, 'unreachable', '20503'],
    ['a broken connection', { type: 'resetBeforeAccepting' }, 'unreachable', 'ECONNRESET'],
  ];

  it.each(kinds)('because of %s is reported until it is over', async (_, cause, reason, errorCode) => {
    fail(cause);
    const { twilioSid } = await seedMessage(application.dataSource);
    const before = new Date();
    await policyFailure(application, twilioSid);
    const [outage, ...others] = await untilDown(application);
    expect(others).toEqual([]);
    expect(outage).toMatchObject({ accountSid: demoAccount.sid, reason, errorCode, waiting: 1 });
    expect(outage?.remedy).toMatch(/\w/);
    expect(new Date(outage?.since ?? 0).getTime()).toBeGreaterThanOrEqual(before.getTime() - 1_000);
    expect(await outageSamples(application)).toEqual([
      `whatsapp_sms_fallback_twilio_outage{account="${demoAccount.sid}",reason="${reason}"} 1`,
    ]);
    const [line] = await until('a line in the log', () => {
      const found = lines(application, BEGINS);
      return found.length > 0 && found;
    });
    expect(line).toMatchObject({
      level: 'error',
      fields: [
        {
          accountSid: demoAccount.sid,
          reason,
          code: errorCode,
          waiting: 1,
          since: new Date(outage?.since ?? 0),
        },
      ],
    });
    // The service must still accept callbacks, so the balancer must keep it.
    expect((await callApi(application, '/health/ready')).status).toBe(200);

    fault = null;
    await hurry(application, twilioSid);
    await untilAllIsDone(application, twilioSid);
    expect(smsFor(application, twilioSid)).toHaveLength(1);
    await untilUp(application);
    expect(await outageSamples(application)).toEqual([]);
    await until('the end in the log', () => lines(application, ENDS).length > 0);
    expect(lines(application, BEGINS)).toHaveLength(1);
    expect(lines(application, ENDS)).toMatchObject([
      {
        level: 'log',
        fields: [{ accountSid: demoAccount.sid, reason, seconds: expect.any(Number) as unknown }],
      },
    ]);
  });

  it('of a subaccount only does not affect the others, and their SMS are sent', async () => {
    fail({ type: 'error', status: 401, code: 20003 }, SUBACCOUNT);
    const [own, others] = [
      await seedMessage(application.dataSource),
      await seedMessage(application.dataSource),
    ];
    await policyFailure(application, own.twilioSid, { accountSid: SUBACCOUNT });
    expect(await untilDown(application)).toMatchObject([{ accountSid: SUBACCOUNT, reason: 'bad_token' }]);
    await policyFailure(application, others.twilioSid);
    await untilAllIsDone(application, others.twilioSid);
    expect(smsFor(application, others.twilioSid)).toHaveLength(1);
    expect(await twilioStatus(application)).toMatchObject({
      outages: [{ accountSid: SUBACCOUNT, waiting: 1 }],
    });
    fault = null;
    await hurry(application, own.twilioSid);
    await untilAllIsDone(application, own.twilioSid);
    await untilUp(application);
  });

  it('of one kind only is not hidden by those that succeed', async () => {
    const when = () => fault !== null;
    fault = { type: 'error', status: 403, code: 20005 };
    application.twilio.failNext({ on: 'create', times: Infinity, fault, when });
    const { twilioSid } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid);
    const reads = setInterval(() => void sendWhatsappAndPoll().catch(() => undefined), 200);
    try {
      expect(await untilDown(application)).toMatchObject([
        { reason: 'account_suspended', operations: ['send'], waiting: 1 },
      ]);
    } finally {
      clearInterval(reads);
    }
    fault = null;
    await hurry(application, twilioSid);
    await untilAllIsDone(application, twilioSid);
    await untilUp(application);
  });

  async function sendWhatsappAndPoll(): Promise<void> {
    await sendWhatsapp(application, [{ status: 'sent' }]);
    await pass(application, 10);
    await runOnce(application);
  }

  it('for one message once is no outage', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    application.twilio.failNext({ on: 'create', fault: { type: 'error', status: 429, code: 20429 } });
    await policyFailure(application, twilioSid);
    await untilAllIsDone(application, twilioSid);
    await until('the failure to be forgotten', async () => {
      return (await application.query('select from twilio_failures')).length === 0;
    });
    expect(await twilioStatus(application)).toEqual({ status: 'up', outages: [] });
    expect(lines(application, BEGINS)).toEqual([]);
  });

  it.each([
    ['at once', false],
    ['with the next round, where one is under way', true],
  ])('that is written long after the next success is over %s', async (_, isInRound) => {
    const outages = new TwilioOutages(application.dataSource, {});
    const query = application.dataSource.query.bind(application.dataSource);
    const statements = jest
      .spyOn(application.dataSource, 'query')
      .mockImplementation(async (sql, ...rest) => {
        if (/insert into twilio_failures/.test(sql)) {
          await (isInRound ? outages.findFailing() : outages.list());
          outages.observe(SUBACCOUNT, 'send', null);
          // This reproduces the fault: by the database's clock the failure is that much later than the success.
          await delay(200);
        }
        return query(sql, ...rest);
      });
    outages.observe(SUBACCOUNT, 'send', { reason: 'rate_limited', code: '20429', retryAfterSeconds: null });
    await outages.flush();
    statements.mockRestore();
    expect(await application.query('select from twilio_failures')).toHaveLength(isInRound ? 1 : 0);
    await outages.findFailing();
    expect(await application.query('select from twilio_failures')).toEqual([]);
  });

  const LONG_AGO = `
insert into twilio_failures (account_sid, operation, reason, error_code, failing_since, last_failed_at, failures)
values ($1, 'send', 'rate_limited', '20429', now() - interval '1 hour', now() - interval '1 hour', 1)`;

  it.each([
    [
      'succeeds',
      (outages: TwilioOutages) => {
        outages.observe(SUBACCOUNT, 'send', null);
      },
    ],
    ['is needed', () => undefined],
  ])('for one message once is no outage however late the next request %s', async (_, next) => {
    const outages = new TwilioOutages(application.dataSource, {});
    await application.query(LONG_AGO, [SUBACCOUNT]);
    await outages.findFailing();
    next(outages);
    await outages.flush();
    expect(await outages.forget()).toEqual([]);
    expect(await application.query('select from twilio_failures')).toEqual([]);
  });

  it('for a moment is no outage: the service asks again by itself', async () => {
    const { twilioSid } = await seedMessage(application.dataSource, { status: 'sent' });
    await sendWhatsapp(application, [{ status: 'sent' }], twilioSid);
    application.twilio.failNext({ on: 'fetch', fault: { type: 'error', status: 503, code: 20503 } });
    await pass(application, 10);
    await runOnce(application);
    await until('the failure to be forgotten', async () => {
      return (await application.query('select from twilio_failures')).length === 0;
    });
    expect(lines(application, BEGINS)).toEqual([]);
  });

  it('because one sender’s queue is full, or a message is refused, is no outage', async () => {
    for (const code of [21611, 21610]) {
      const { twilioSid } = await seedMessage(application.dataSource);
      application.twilio.failNext({ on: 'create', fault: { type: 'error', status: 400, code } });
      await policyFailure(application, twilioSid);
      await untilAllIsDone(application, twilioSid);
    }
    expect(await application.query('select from twilio_failures')).toEqual([]);
  });

  it('with a long Retry-After needs only one answer', async () => {
    fail({ type: 'error', status: 429, code: 20429, retryAfterSeconds: 3_600 });
    const { twilioSid } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid);
    expect(await untilDown(application)).toMatchObject([{ reason: 'rate_limited', waiting: 1 }]);
    fault = null;
    await hurry(application, twilioSid);
    await untilAllIsDone(application, twilioSid);
    await untilUp(application);
  });

  it.each([
    ['bad_token', { type: 'error', status: 401, code: 20003 }],
    ['unknown_account', { type: 'error', status: 404, code: 20404 }],
  ] as const)('of polls only, with nothing to send, is the same outage: %s', async (reason, cause) => {
    await application.query('delete from message_polls');
    const { twilioSid } = await seedMessage(application.dataSource, { status: 'sent' });
    await sendWhatsapp(application, [{ status: 'sent' }], twilioSid);
    fail(cause);
    await pass(application, 10);
    await runOnce(application);
    expect(await untilDown(application)).toMatchObject([{ reason, operations: ['read'], waiting: 0 }]);
    // The message is not mistaken for one that Twilio does not know.
    expect(await waiting(application)).toContain(twilioSid);
    fault = null;
    await untilUp(application);
  });
});

describe('an outage of Twilio', () => {
  let database: DatabaseConnection;
  const running: TestApplication[] = [];

  beforeEach(async () => {
    database = await createTestDatabase();
  });

  afterEach(async () => {
    for (const application of running.splice(0)) await application.close();
    await database.close();
  });

  async function start(
    env: ApplicationOptions['env'] = {},
    override: ApplicationOptions['override'] = withOutages(),
  ): Promise<TestApplication> {
    const application = await TestApplication.start({
      database,
      env: { ...withAdminKeys, ...env },
      simulator: { accounts: { [demoAccount.sid]: demoAccount.authToken, [SUBACCOUNT]: 'a-token' } },
      override,
    });
    running.push(application);
    return application;
  }

  async function stop(application: TestApplication): Promise<void> {
    running.splice(running.indexOf(application), 1);
    await application.close();
  }

  it('keeps its start through a restart, and ends once its cause is removed', async () => {
    const closed = { TWILIO_API_BASE_URL: 'http://127.0.0.1:1' };
    const first = await start(closed);
    const { twilioSid } = await seedMessage(first.dataSource);
    await policyFailure(first, twilioSid);
    const [outage] = await untilDown(first);
    expect(outage).toMatchObject({ reason: 'unreachable', errorCode: 'ECONNREFUSED' });
    await stop(first);

    const second = await start(closed);
    expect(await untilDown(second)).toMatchObject([{ since: outage?.since, reason: 'unreachable' }]);
    await until('the outage in the log of the new process', () => lines(second, BEGINS).length > 0);
    await stop(second);

    const third = await start();
    await untilUp(third);
    await hurry(third, twilioSid);
    await untilAllIsDone(third, twilioSid);
    await until('the end in the log', () => lines(third, ENDS).length > 0);
    expect(lines(third, ENDS)).toHaveLength(1);
  });

  it('with a token that only checks signatures is known to a replica that sends nothing', async () => {
    const worker = await start({
      TWILIO_AUTH_TOKEN: 'rotated',
      TWILIO_AUTH_TOKEN_SECONDARY: demoAccount.authToken,
    });
    const web = await start({}, (builder) =>
      withOutages({ intervalMilliseconds: 0 })(
        withDomainEventsOptions(database, { concurrency: 0 })(builder),
      ),
    );
    const { twilioSid } = await seedMessage(web.dataSource);
    await policyFailure(web, twilioSid);
    expect(await untilDown(web)).toMatchObject([{ reason: 'bad_token', waiting: 1 }]);
    expect(await outageSamples(web)).toHaveLength(1);
    expect(await twilioStatus(web)).toEqual(await twilioStatus(worker));
    // Nest has one logger for both, and only one of them logs it.
    await until('the outage in the log', () => lines(web, BEGINS).length > 0);
    expect(lines(web, BEGINS)).toHaveLength(1);
  });

  it('of two kinds of requests has one end in the log, however late the database answers', async () => {
    const application = await start({}, withOutages({ intervalMilliseconds: 0 }));
    const { dataSource } = application;
    await dataSource.query(
      `insert into twilio_failures (account_sid, operation, reason, error_code, failing_since, last_failed_at, failures)
       select $1, unnest('{read,send}'::text[]), 'unreachable', '20503', now() - interval '1 hour', now(), 9`,
      [demoAccount.sid],
    );
    const outages = new TwilioOutages(dataSource, {});
    const watch = new OutageWatch(application.app.get(TwilioAccounts), outages, { accounts: [] });
    await watch.runOnce();
    expect(lines(application, BEGINS)).toHaveLength(1);

    let end = () => {};
    const ended = new Promise<void>((resolve) => (end = resolve));
    let list = () => {};
    const listed = new Promise<void>((resolve) => (list = resolve));
    const query = dataSource.query.bind(dataSource);
    const statements = jest.spyOn(dataSource, 'query').mockImplementation(async (sql, parameters) => {
      const answer = await query<unknown[]>(sql, parameters);
      if (/failingForMilliseconds/.test(sql)) {
        for (const operation of ['read', 'send'] as const) outages.observe(demoAccount.sid, operation, null);
        await ended;
      } else if (
        /set ended_at = now/.test(sql) &&
        Object.values(parameters ?? {}).includes('send') &&
        answer.length > 0
      ) {
        // The end is in the database. Its answer arrives once the outages have been listed.
        end();
        await listed;
      } else if (/operations, min\(failing_since\)/.test(sql)) {
        setImmediate(list);
      }
      return answer;
    });
    await watch.runOnce();
    statements.mockRestore();
    await watch.runOnce();
    expect(lines(application, ENDS)).toHaveLength(1);
  });

  it('includes an account that is no longer configured, for which an SMS waits', async () => {
    const before = await start({ TWILIO_SUBACCOUNTS: `${SUBACCOUNT}:a-token` }, (builder) =>
      withOutages()(withDomainEventsOptions(database, { concurrency: 0 })(builder)),
    );
    const { twilioSid } = await seedMessage(before.dataSource);
    await policyFailure(before, twilioSid, { accountSid: SUBACCOUNT });
    await stop(before);
    const after = await start();
    expect(await untilDown(after)).toMatchObject([
      { accountSid: SUBACCOUNT, reason: 'not_configured', waiting: 1 },
    ]);
  });

  it('is named if an SMS came too late because of it', async () => {
    const application = await start();
    await application.query(
      `insert into twilio_failures (account_sid, operation, reason, error_code, failing_since, last_failed_at, failures, ended_at)
       values ($1, 'read', 'bad_token', '20003', now() - interval '6 hours', now() - interval '5 minutes', 9, now() - interval '4 minutes')`,
      [demoAccount.sid],
    );
    const { twilioSid } = await seedMessage(application.dataSource);
    await application.query(SENT_FIVE_HOURS_AGO, [twilioSid, demoAccount.sid]);
    await policyFailure(application, twilioSid);
    expect(await untilAllIsDone(application, twilioSid)).toMatchObject({
      ...{ state: 'skipped', reason: 'too_late', lastErrorCode: 'bad_token' },
      lastError:
        'Twilio could not be used for 296 minutes of that time: Twilio rejects the auth token of the account.',
    });
    const { body } = await callApi<{ meaning: string }>(application, `/api/v1/fallbacks/${twilioSid}`);
    expect(body.meaning).toContain('Part of that time Twilio could not be used');
  });

  it('that lasts longer than the SMS can wait leaves the last error to the operator', async () => {
    const application = await start({
      TWILIO_AUTH_TOKEN: 'rotated',
      TWILIO_AUTH_TOKEN_SECONDARY: demoAccount.authToken,
    });
    const { twilioSid } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid);
    await untilDown(application);
    await application.query(SENT_FIVE_HOURS_AGO, [twilioSid, demoAccount.sid]);
    await hurry(application, twilioSid);
    expect(await untilAllIsDone(application, twilioSid)).toMatchObject({
      ...{ state: 'failed', reason: 'twilio_unavailable', lastErrorCode: '20003' },
    });
  });
});
