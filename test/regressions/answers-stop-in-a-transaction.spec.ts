import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { TestApplication } from '../support/application.js';
import { DatabaseLine } from '../support/database-line.js';
import { createTestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';
import { postCallback, statusParameters } from '../webhooks/post-callback.js';

/**
 * node-postgres reuses a connection after a late answer. If the connection was inside a transaction, it ran the next
 * callbacks in it too: they were answered 204 and never committed.
 */
describe('a connection whose answers stop in the middle of a transaction', () => {
  let database: DatabaseConnection;
  let line: DatabaseLine;
  let application: TestApplication;

  beforeAll(async () => {
    database = await createTestDatabase();
    line = await DatabaseLine.open(database);
    application = await TestApplication.start({ database: line });
  });

  afterAll(async () => {
    line.mend();
    await application.close();
    await line.close();
  });

  /** Counts what another connection sees: only committed rows. */
  async function committed(): Promise<string[]> {
    const client = new Client(database.client);
    await client.connect();
    try {
      const { rows } = await client.query<{ sid: string }>('select message_sid as sid from message_events');
      return rows.map(({ sid }) => sid);
    } finally {
      await client.end();
    }
  }

  it('accepts no later callback, which would be answered 204 and not stored', async () => {
    expect((await postCallback(application)).status).toBe(204);
    line.hold();
    // A policy failure is written in a transaction of several statements.
    const parameters = statusParameters({
      MessageStatus: 'undelivered',
      ErrorCode: '63049',
      To: 'whatsapp:+15557654321',
    });
    expect((await postCallback(application, { parameters })).status).toBe(503);
    line.resume();

    const acknowledged: string[] = [];
    await until('twenty callbacks to be answered 204', async () => {
      const later = statusParameters();
      const { status } = await postCallback(application, { parameters: later });
      if (status === 204) acknowledged.push(String(later.MessageSid));
      return acknowledged.length === 20;
    });
    expect(await committed()).toEqual(expect.arrayContaining(acknowledged));
  });
});
