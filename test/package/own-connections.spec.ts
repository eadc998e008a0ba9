import { afterEach, beforeEach, expect, it } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { getDataSourceToken, TypeOrmModule } from '@nestjs/typeorm';
import type { DataSource, MigrationInterface, QueryRunner } from 'typeorm';
import { demoAccount } from '../../simulator/demo-account.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { WhatsappSmsFallbackModule } from '../../src/index.js';
import { assertMigrated, migrate } from '../../src/migrations.js';
import { DATA_SOURCE_TOKEN } from '../../src/process/inject-database.js';
import { CollectedLogs } from '../support/collected-logs.js';
import { createTestDatabase, describeOnServer } from '../support/test-database.js';

class CreateOrders1700000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('create table orders (id bigint primary key)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table orders');
  }
}

describeOnServer('beside the data source of an application,', () => {
  let database: DatabaseConnection;
  let url: string;
  let app: INestApplication | undefined;

  beforeEach(async () => {
    database = await createTestDatabase();
    url = database.client.connectionString ?? '';
  });

  afterEach(async () => {
    await app?.close();
    app = undefined;
    await database.close();
  });

  async function start(): Promise<void> {
    const module = await Test.createTestingModule({
      imports: [
        TypeOrmModule.forRoot({ type: 'postgres', url, migrations: [CreateOrders1700000000000] }),
        WhatsappSmsFallbackModule.forRoot({
          databaseUrl: url,
          schema: 'sms_fallback',
          migrate: true,
          accounts: [{ accountSid: demoAccount.sid, authTokens: [demoAccount.authToken] }],
        }),
      ],
    })
      .setLogger(new CollectedLogs())
      .compile();
    app = module.createNestApplication({ rawBody: true });
    await app.init();
  }

  it('the service keeps its own limits and schema, and the application its own', async () => {
    await start();
    const settings = `select current_setting('statement_timeout') as timeout, current_schema() as schema`;
    const [own] = await (app?.get<DataSource>(DATA_SOURCE_TOKEN).query<object[]>(settings) ?? []);
    const [team] = await (app?.get<DataSource>(getDataSourceToken()).query<object[]>(settings) ?? []);
    expect(own).toEqual({ timeout: '3s', schema: 'sms_fallback' });
    expect(team).toEqual({ timeout: '0', schema: 'public' });
  });

  it('the migrations of the two do not touch each other', async () => {
    await migrate(url, { schema: 'sms_fallback' });
    await start();
    const team = app?.get<DataSource>(getDataSourceToken());
    await team?.runMigrations();
    await team?.undoLastMigration();
    await team?.undoLastMigration();
    await assertMigrated(url, { schema: 'sms_fallback' });
    await expect(assertMigrated(url, { schema: 'elsewhere' })).rejects.toThrow(/is not migrated/);
    expect(await team?.query(`select to_regclass('orders') as orders`)).toEqual([{ orders: null }]);
  });
});
