import { afterAll, afterEach, beforeAll, describe, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { dataSourceOptions } from '../../src/database/data-source-options.js';
import { TypeOrmMessageRecorder } from '../../src/messages/typeorm-message-recorder.js';
import {
  messageRecorderConformance,
  type MessageRecorderSetup,
  type RecordedMessage,
} from '../../testing/message-recorder-conformance.js';
import { seedMessage } from '../support/seed.js';
import { createTestDatabase } from '../support/test-database.js';

describe('TypeOrmMessageRecorder', () => {
  let database: DatabaseConnection;
  let dataSource: DataSource;

  beforeAll(async () => {
    database = await createTestDatabase();
    dataSource = await new DataSource(dataSourceOptions(database)).initialize();
    await dataSource.query('create table refused (sid text, code text)');
    await dataSource.query(
      `create function refuse() returns trigger language plpgsql as $$
       declare refusal text;
       begin
         select code into refusal from refused where sid = new.twilio_sid;
         if found then raise exception 'no' using errcode = refusal; end if;
         return new;
       end $$`,
    );
    await dataSource.query(
      'create trigger refuse before insert or update on messages for each row execute function refuse()',
    );
  });

  afterEach(() => dataSource.query('truncate refused'));

  afterAll(async () => {
    await dataSource.destroy();
    await database.close();
  });

  async function refuse(sid: string, code: string): Promise<void> {
    await dataSource.query('insert into refused values ($1, $2)', [sid, code]);
  }

  async function find(twilioSid: string): Promise<RecordedMessage | null> {
    const [row] = await dataSource.query<RecordedMessage[]>(
      'select id, status, body, conversation_id as "conversationId" from messages where twilio_sid = $1',
      [twilioSid],
    );
    return row ?? null;
  }

  async function newConversation(): Promise<string> {
    const id = randomUUID();
    await dataSource.query('insert into conversations (id) values ($1)', [id]);
    return id;
  }

  const whileLocked: MessageRecorderSetup['whileLocked'] = async (twilioSid, work) => {
    if (database.embedded) {
      // It serves one transaction at a time, so no other one can hold a lock. A trigger fails with the same error.
      await refuse(twilioSid, '55P03');
      const result = await work();
      await dataSource.query('truncate refused');
      return result;
    }
    const owner = dataSource.createQueryRunner();
    await owner.startTransaction();
    try {
      await owner.query('select from messages where twilio_sid = $1 for update', [twilioSid]);
      return await work();
    } finally {
      await owner.rollbackTransaction();
      await owner.release();
    }
  };

  const cases = messageRecorderConformance(() => ({
    recorder: new TypeOrmMessageRecorder(),
    inTransaction: (work) => dataSource.transaction(work),
    store: ({ twilioSid, status }) => seedMessage(dataSource, { twilioSid, status }),
    find,
    newConversation,
    refuse: (twilioSid) => refuse(twilioSid, 'P0001'),
    whileLocked,
  }));
  for (const { name, run } of cases) it(name, run);
});
