import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { TestApplication } from '../support/application.js';
import { policyFailure, recipientOf, smsFor, untilAllIsDone, whatsappStatus } from '../support/fallbacks.js';
import { jobsOf } from '../support/job-queue.js';
import { randomMessageSid, seedMessage } from '../support/seed.js';
import { createTestDatabase } from '../support/test-database.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { postCallback, statusParameters } from '../webhooks/post-callback.js';
import { seedFallback } from './ended-fallback.js';
import { runCommand } from './run-command.js';

describe('npm run erase', () => {
  let database: DatabaseConnection;
  let application: TestApplication;

  beforeAll(async () => {
    database = await createTestDatabase();
    application = await TestApplication.start({ database });
  });

  afterAll(async () => {
    await application.close();
    await database.close();
  });

  function erase(...args: string[]) {
    return runCommand(database, 'erase', args);
  }

  /** Every row of the service's own tables, as text. */
  async function everything(): Promise<string> {
    const tables = ['message_events', 'sms_fallbacks', 'rejected_callbacks'];
    const rows = await Promise.all(
      tables.map((table) => application.query<{ row: string }>(`select ${table}::text as row from ${table}`)),
    );
    return rows
      .flat()
      .map(({ row }) => row)
      .join('\n');
  }

  function counts() {
    return application.query(
      `select channel, message_status, error_code, count(*) from message_events group by 1, 2, 3 order by 1, 2, 3`,
    );
  }

  it('removes the number and the text, and keeps the rows and with them the counts', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    const other = await seedMessage(application.dataSource);
    const number = recipientOf(twilioSid);
    await policyFailure(application, twilioSid);
    await policyFailure(application, other.twilioSid);
    await untilAllIsDone(application, twilioSid);
    await untilAllIsDone(application, other.twilioSid);
    await postCallback(application, {
      parameters: statusParameters({ MessageStatus: '', To: `whatsapp:${number}` }),
    });
    const before = await counts();
    expect(await everything()).toContain(number.slice(1));

    const dryRun = await erase('--number', number, '--dry-run');
    expect(dryRun).toMatchObject({ exitCode: 0 });
    expect(dryRun.output).toContain(
      `Found for +*******${number.slice(-4)}: 3 events, 1 fallback, 1 rejected callback.`,
    );
    expect(await everything()).toContain(number.slice(1));

    const { exitCode, output } = await erase('--number', number, '--yes');
    expect(exitCode).toBe(0);
    expect(output).toContain('Erased: 3 events, 1 fallback, 1 rejected callback.');
    const left = await everything();
    expect(left).not.toContain(number.slice(1));
    expect(left).toContain(recipientOf(other.twilioSid).slice(1));
    expect(await counts()).toEqual(before);
    expect(
      await application.query(
        `select state, to_number, body, erased_at is not null as erased from sms_fallbacks
          where original_message_sid = $1`,
        [twilioSid],
      ),
    ).toEqual([{ state: 'sent', to_number: null, body: null, erased: true }]);
    await policyFailure(application, twilioSid, { status: 'failed' });
    await untilAllIsDone(application, twilioSid);
    expect(smsFor(application, twilioSid)).toHaveLength(1);
  });

  it('skips a fallback that is still open, and says so', async () => {
    const { twilioSid } = await seedFallback(application, {
      state: 'claimed',
      nextAttemptAt: minutesAgo(-60),
    });
    const { exitCode, complaints } = await erase('--number', recipientOf(twilioSid), '--yes');
    expect(exitCode).toBe(1);
    expect(complaints).toContain('1 fallback still open');
    expect(
      await application.query('select to_number from sms_fallbacks where original_message_sid = $1', [
        twilioSid,
      ]),
    ).toEqual([{ to_number: recipientOf(twilioSid) }]);
  });

  it('changes nothing without consent, and hides part of the number', async () => {
    const { twilioSid } = await seedFallback(application, { state: 'skipped', reason: 'no_text' });
    const number = recipientOf(twilioSid);
    const { exitCode, output, complaints } = await erase('--number', number);
    expect(exitCode).toBe(1);
    expect(complaints).toContain('pass --yes');
    expect(output + complaints).not.toContain(number);
    expect(await everything()).toContain(number);
  });

  /** Numbers that WhatsApp and SMS write differently: the stored form and the given form. */
  const forms = [
    ['+5215512345678', '+525512345678'],
    ['+525512345678', '+5215512345678'],
    ['+551187654321', '+5511987654321'],
    ['+5511987654321', '+551187654321'],
    ['+541112345678', '+5491112345678'],
    ['+5491112345678', '+541112345678'],
    ['+22921234567', '+2290121234567'],
    ['+2290121234567', '+22921234567'],
  ] as const;

  async function reject(to: string, extra: Record<string, string> = {}): Promise<void> {
    await postCallback(application, {
      parameters: statusParameters({ MessageStatus: '', To: to, ...extra }),
    });
  }

  it.each(forms)('finds a person by the other form: of %s by %s', async (stored, given) => {
    const { twilioSid } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid, { to: stored });
    await untilAllIsDone(application, twilioSid);
    await reject(`whatsapp:${stored}`);
    expect(await everything()).toContain(stored.slice(1));
    const { exitCode, output } = await erase('--number', `whatsapp:${given}`, '--yes');
    expect(exitCode).toBe(0);
    expect(output).toMatch(/Erased: \d events, 1 fallback, 1 rejected callback\./);
    const left = await everything();
    for (const form of [stored, given]) expect(left).not.toContain(form.slice(1));
  });

  describe('of a person with a WhatsApp username', () => {
    let people = 0;

    /** A number and IDs that no other test uses. */
    function newPerson() {
      people += 1;
      const digits = String(people).padStart(4, '0');
      const [userId, parentUserId] = [`US.13491208655Ab${digits}`, `US.ENT.1181579921${digits}`];
      return { number: `+1555010${digits}`, userId, parentUserId };
    }

    type Person = ReturnType<typeof newPerson>;

    const columnsOf = (sid: string) =>
      application.query(
        `select to_number, user_id, parent_user_id, body, last_error, erased_at is not null as erased
           from sms_fallbacks where original_message_sid = $1`,
        [sid],
      );

    const BLANK = {
      ...{ to_number: null, user_id: null, parent_user_id: null },
      ...{ body: null, last_error: null, erased: true },
    };

    /** One message names both, a later one only the ID. @returns the SID of the later one. */
    async function sendTo({ number, userId, parentUserId }: Person): Promise<string> {
      await whatsappStatus(application, randomMessageSid(), {
        status: 'delivered',
        to: number,
        ...{ externalUserId: `whatsapp:${userId}`, parentExternalUserId: `whatsapp:${parentUserId}` },
      });
      const { twilioSid } = await seedMessage(application.dataSource);
      await policyFailure(application, twilioSid, { to: `whatsapp:${userId}` });
      expect(await untilAllIsDone(application, twilioSid)).toMatchObject({ state: 'sent', toNumber: number });
      await reject(`whatsapp:${userId}`);
      await reject('whatsapp:+15550000000', { ParentExternalUserId: parentUserId });
      return twilioSid;
    }

    async function expectNothingOf(person: Person): Promise<void> {
      const left = await everything();
      for (const name of Object.values(person)) expect(left).not.toContain(name.replace('+', ''));
    }

    const names: [string, (person: Person) => string[]][] = [
      ['the number', ({ number }) => ['--number', number]],
      ['the ID', ({ userId }) => ['--user-id', userId]],
      ['the ID with whatsapp: in front', ({ userId }) => ['--user-id', `whatsapp:${userId}`]],
      ['the ID for the parent business', ({ parentUserId }) => ['--user-id', parentUserId]],
    ];

    it.each(names)('removes everything by %s', async (_, argumentsFor) => {
      const person = newPerson();
      const twilioSid = await sendTo(person);
      const dryRun = await erase(...argumentsFor(person), '--dry-run');
      expect(dryRun.output).toContain('1 fallback, 2 rejected callbacks.');
      expect(dryRun.output).toContain('Also known as ');
      for (const name of Object.values(person)) expect(dryRun.output).not.toContain(name);
      expect(await everything()).toContain(person.userId);
      const { exitCode } = await erase(...argumentsFor(person), '--yes');
      expect(exitCode).toBe(0);
      await expectNothingOf(person);
      expect(await columnsOf(twilioSid)).toEqual([BLANK]);
    });

    it('removes the ID of one event of a message by the number of another event', async () => {
      const person = newPerson();
      const sid = randomMessageSid();
      await whatsappStatus(application, sid, { status: 'sent', to: person.number });
      await whatsappStatus(application, sid, { status: 'read', to: `whatsapp:${person.userId}` });
      await erase('--number', person.number, '--yes');
      await expectNothingOf(person);
    });

    it('removes the ID whose number the application knows, by that number', async () => {
      const person = newPerson();
      await application.query('alter table messages add column if not exists to_number text');
      const { twilioSid } = await seedMessage(application.dataSource);
      await application.query('update messages set to_number = $1 where twilio_sid = $2', [
        person.number,
        twilioSid,
      ]);
      await policyFailure(application, twilioSid, { to: `whatsapp:${person.userId}` });
      expect(await untilAllIsDone(application, twilioSid)).toMatchObject({ state: 'sent' });
      await erase('--number', person.number, '--yes');
      await expectNothingOf(person);
      expect(await columnsOf(twilioSid)).toEqual([BLANK]);
    });

    it('keeps the data of others: longer numbers and IDs, and the name of the next owner of the number', async () => {
      const [person, next] = [newPerson(), newPerson()];
      const longer = { number: `${person.number}1`, userId: `${person.userId}1` };
      await sendTo(person);
      const nextSid = randomMessageSid();
      const { number } = person;
      await whatsappStatus(application, nextSid, {
        ...{ status: 'delivered', to: number, externalUserId: next.userId },
      });
      await whatsappStatus(application, randomMessageSid(), {
        ...{ status: 'delivered', to: `whatsapp:${next.userId}` },
      });
      await whatsappStatus(application, randomMessageSid(), {
        ...{ status: 'delivered', to: longer.number, externalUserId: longer.userId },
      });
      await reject(`whatsapp:${longer.number}`);
      await reject(`whatsapp:${longer.userId}`);
      const { output } = await erase('--user-id', person.userId, '--yes');
      expect(output).toContain('2 rejected callbacks.');
      const rows = await application.query<{ name: string }>(
        `select coalesce(to_number, user_id) as name from message_events where to_number = $1 or user_id = any ($2)
         union all
         select payload->>'To' from rejected_callbacks where payload->>'To' = any ($3) order by 1`,
        [
          longer.number,
          [longer.userId, next.userId],
          [longer.number, longer.userId].map((name) => `whatsapp:${name}`),
        ],
      );
      expect(rows.map(({ name }) => name).toSorted()).toEqual(
        [longer.number, next.userId, `whatsapp:${longer.number}`, `whatsapp:${longer.userId}`].toSorted(),
      );
    });

    it('keeps the events of an open fallback, so that the same command finds its ID once it has ended', async () => {
      const person = newPerson();
      const { twilioSid } = await seedFallback(application, {
        ...{ state: 'claimed', nextAttemptAt: minutesAgo(-60) },
        ...{ toNumber: null, userId: person.userId },
      });
      await whatsappStatus(application, twilioSid, {
        ...{ status: 'sent', to: person.number, externalUserId: person.userId },
      });
      const first = await erase('--number', person.number, '--yes');
      expect(first).toMatchObject({
        exitCode: 1,
        output: expect.stringContaining('Erased: 0 events') as unknown,
      });
      expect(first.complaints).toContain('1 fallback still open');
      await application.query(
        `update sms_fallbacks set state = 'skipped', reason = 'no_text' where original_message_sid = $1`,
        [twilioSid],
      );
      expect(await erase('--number', person.number, '--yes')).toMatchObject({ exitCode: 0 });
      await expectNothingOf(person);
      expect(await columnsOf(twilioSid)).toEqual([BLANK]);
    });

    it('removes the jobs that have no attempts left, and no others', async () => {
      const [person, other] = [newPerson(), newPerson()];
      const events = [
        { toNumber: person.number },
        { toNumber: null, userId: person.userId },
        { toNumber: null, parentUserId: person.parentUserId },
        { toNumber: other.number, userId: other.userId },
        { toNumber: `${person.number}1` },
      ];
      await sendTo(person);
      await application.query(
        `select whatsapp_sms_fallback_queue.add_job('domain_event', json_build_object('name', 'a.test', 'event', event),
                run_at => now() + interval '1 hour') from json_array_elements($1::json) as event`,
        [JSON.stringify(events)],
      );
      await application.query(
        `update whatsapp_sms_fallback_queue._private_jobs set attempts = max_attempts where payload->>'name' = 'a.test'`,
      );
      await erase('--number', person.number, '--yes');
      const left = await jobsOf(application, 'a.test');
      expect(left.map(({ event }) => event.toNumber).toSorted()).toEqual(
        [other.number, `${person.number}1`].toSorted(),
      );
      await application.query(
        `select whatsapp_sms_fallback_queue.complete_jobs(array_agg(id)) from whatsapp_sms_fallback_queue._private_jobs`,
      );
    });
  });

  it.each([
    [['--user-id', '+15551234567']],
    [['--user-id', 'US.']],
    [['--user-id', 'US.1349*']],
    [['--number', 'US.13491208655302741918']],
    [['--number', '+15551234567', '--user-id', 'US.13491208655302741918']],
    [[]],
    [['--number', '0155512345']],
    [['--number', '555 123 4567']],
    [['--number', '491701234567', '--yes']],
    [['+15551234567']],
  ])('refuses %j', async (args) => {
    expect(await runCommand(null, 'erase', args)).toMatchObject({ exitCode: 2 });
  });
});
