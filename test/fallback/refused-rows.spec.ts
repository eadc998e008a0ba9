import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { delivered } from '../../simulator/callback-plan.js';
import { execute } from '../database/application-tables.js';
import { TestApplication } from '../support/application.js';
import { expectOneSms, findFallback, policyFailure, smsFor, untilAllIsDone } from '../support/fallbacks.js';
import { followAgainNow } from '../support/following.js';
import { seedMessage } from '../support/seed.js';
import { createTestDatabase } from '../support/test-database.js';

const NOT_TAKEN = 'The SMS was sent, and messages does not take its row';

describe("the row of an SMS that the application's messages refuses", () => {
  let application: TestApplication;

  beforeEach(async () => {
    application = await TestApplication.start();
    application.twilio.callbackPlan = delivered;
  });

  afterEach(() => application.close());

  function warnings(): (readonly unknown[])[] {
    return application.logs.lines
      .filter(({ level, message }) => level === 'warn' && message === NOT_TAKEN)
      .map(({ fields }) => fields);
  }

  it.each([
    [
      'a required column',
      'alter table messages add tenant_id int not null default 1; alter table messages alter tenant_id drop default',
      'messages.tenant_id is NOT NULL',
      'alter table messages alter tenant_id set default 1',
    ],
    [
      'a check',
      `alter table messages add constraint only_whatsapp check (channel = 'whatsapp')`,
      'check constraint only_whatsapp',
      'alter table messages drop constraint only_whatsapp',
    ],
    [
      'a trigger',
      `create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not %', new.channel; end $$;
       create trigger refuse before insert on messages for each row when (new.channel = 'sms') execute function refuse()`,
      'not sms',
      'drop function refuse cascade',
    ],
    [
      'a deferred trigger, at the commit',
      `create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not %', new.channel; end $$;
       create constraint trigger refuse after insert on messages deferrable initially deferred
         for each row when (new.channel = 'sms') execute function refuse()`,
      'not sms',
      'drop function refuse cascade',
    ],
  ])(
    'because of %s costs one warning, and is stored once the table accepts it',
    async (_, refuse, reason, accept) => {
      const originals = await Promise.all([1, 2, 3].map(() => seedMessage(application.dataSource)));
      for (const statement of splitStatements(refuse)) await application.query(statement);
      for (const { twilioSid } of originals) await policyFailure(application, twilioSid);
      for (const { twilioSid } of originals) {
        const fallback = await untilAllIsDone(application, twilioSid);
        expect(smsFor(application, twilioSid).map(({ sid }) => sid)).toEqual([fallback.smsMessageSid]);
        expect(fallback).toMatchObject({ state: 'sent', reason: null, messageId: null });
        expect(fallback.lastError).toContain(reason);
        const events = await application.query('select from message_events where message_sid = any ($1)', [
          [twilioSid, fallback.smsMessageSid],
        ]);
        expect(events).toHaveLength(3);
      }
      expect(warnings()).toMatchObject([[{ found: expect.stringContaining(reason) as unknown }]]);

      await followAgainNow(application);
      expect(warnings()).toHaveLength(1);
      await application.query(accept);
      await followAgainNow(application);
      for (const { twilioSid, conversationId } of originals) {
        const fallback = await findFallback(application, twilioSid);
        expect(fallback).toMatchObject({ state: 'sent', lastError: null });
        expect(
          await application.query('select status, conversation_id from messages where id = $1', [
            fallback?.messageId,
          ]),
        ).toEqual([{ status: 'delivered', conversation_id: conversationId }]);
      }
    },
  );
});

describe("a service whose rows the application's messages refuses from the start", () => {
  it('starts, logs the problem with the remedy, and sends the SMS', async () => {
    const database = await createTestDatabase();
    await execute(database, `alter table messages add constraint only_whatsapp check (channel = 'whatsapp')`);
    const application = await TestApplication.start({ database });
    try {
      expect(application.logs.lines).toContainEqual({
        level: 'warn',
        message: 'The tables of the application refuse what the service does with them',
        fields: [
          {
            found: expect.stringContaining('only_whatsapp') as unknown,
            remedy: expect.stringContaining('drop constraint only_whatsapp') as unknown,
          },
        ],
      });
      const { twilioSid } = await seedMessage(application.dataSource);
      await policyFailure(application, twilioSid);
      await expectOneSms(application, twilioSid);
    } finally {
      await application.close();
      await database.close();
    }
  });
});

/** No statement has a semicolon at the end of a line within a function. */
function splitStatements(sql: string): string[] {
  return sql.split(/;\s*(?=alter|create)/);
}
