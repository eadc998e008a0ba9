import { describe, expect, it } from '@jest/globals';
import { Test } from '@nestjs/testing';
import { existsSync } from 'node:fs';
import { Client } from 'pg';
import { WhatsappSmsFallbackModule } from '../../src/whatsapp-sms-fallback.module.js';
import { demoAccount, startEmbeddedPostgres } from '../../testing/index.js';

describe('startEmbeddedPostgres', () => {
  it('serves an application, stays open when that ends, and removes its folder as it is closed', async () => {
    const database = await startEmbeddedPostgres();
    const { connection } = database;
    const service = WhatsappSmsFallbackModule.forRoot({
      connection,
      accounts: [{ accountSid: demoAccount.sid, authTokens: [demoAccount.authToken] }],
    });
    const module = await Test.createTestingModule({ imports: [service] }).compile();
    const app = await module.createNestApplication({ rawBody: true }).init();
    await app.close();

    const client = new Client(connection.client);
    await client.connect();
    const { rows } = await client.query(`select to_regclass('sms_fallbacks') is not null as migrated`);
    await client.end();
    expect(rows).toEqual([{ migrated: true }]);

    await database.close();
    expect(existsSync(connection.client.host ?? '')).toBe(false);
  });
});
