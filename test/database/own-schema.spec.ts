import { afterEach, beforeEach, expect, it } from '@jest/globals';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { migrateDatabase } from '../../src/database/migrate-database.js';
import { openMigrated } from '../../src/database/open-database.js';
import { dataSourceOptions } from '../../src/database/data-source-options.js';
import { TestApplication } from '../support/application.js';
import { expectOneSms, findFallback, policyFailure } from '../support/fallbacks.js';
import { seedMessage } from '../support/seed.js';
import { createTestDatabase, describeOnServer } from '../support/test-database.js';

describeOnServer('a schema of the service’s own', () => {
  let database: DatabaseConnection;
  const applications: TestApplication[] = [];

  beforeEach(async () => {
    database = await createTestDatabase();
  });

  afterEach(async () => {
    for (const application of applications.splice(0)) await application.close();
    await database.close();
  });

  async function start(schema?: string): Promise<TestApplication> {
    const application = await TestApplication.start({ database: { ...database, schema } });
    applications.push(application);
    return application;
  }

  const rowsIn = async (application: TestApplication, table: string) =>
    Number((await application.query<{ count: string }>(`select count(*) from ${table}`))[0]?.count);

  it('is created by the migration, and says so until then', async () => {
    const own = { ...database, schema: 'sms_fallback' };
    await expect(openMigrated(dataSourceOptions(own))).rejects.toThrow(/is not migrated/);
    expect(await migrateDatabase(own)).not.toEqual([]);
    expect(await migrateDatabase(own)).toEqual([]);
    await (await openMigrated(dataSourceOptions(own))).destroy();
  });

  it('holds the tables, and the queue is beside it; the application’s tables are found where they are', async () => {
    await migrateDatabase({ ...database, schema: 'sms_fallback' });
    const application = await start('sms_fallback');
    const { twilioSid } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid);
    await expectOneSms(application, twilioSid);
    expect(await rowsIn(application, 'sms_fallback.sms_fallbacks')).toBe(1);
    expect(await rowsIn(application, 'public.sms_fallbacks')).toBe(0);
    expect(await rowsIn(application, `public.messages where channel = 'sms'`)).toBe(1);
    const tasks = await application.query('select identifier from sms_fallback_queue._private_tasks');
    expect(tasks).toContainEqual({ identifier: 'domain_event' });
  });

  it('lets two services share a database, and each sends its own SMS', async () => {
    await migrateDatabase({ ...database, schema: 'second' });
    const [first, second] = [await start(), await start('second')];
    for (const application of [first, second]) {
      const { twilioSid } = await seedMessage(application.dataSource);
      await policyFailure(application, twilioSid);
      await expectOneSms(application, twilioSid);
      const other = application === first ? second : first;
      expect(await findFallback(other, twilioSid)).toBeNull();
    }
  });
});
