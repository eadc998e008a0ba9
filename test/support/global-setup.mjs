import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleModules } from './bundled-modules.mjs';

/**
 * Prepares a run for all workers: checks whether dist/ is up to date, creates the folder of embedded databases, bundles
 * libraries, and names the database that the workers copy on a PostgreSQL server.
 */
export default async function setUp({ rootDir }) {
  process.env.TEST_DIST = execFileSync(process.execPath, ['build.js', 'state'], {
    cwd: rootDir,
    encoding: 'utf8',
  }).trim();
  process.env.TEST_TEMPLATE_DATABASE = `whatsapp_sms_fallback_test_${randomUUID().replaceAll('-', '')}`;
  process.env.TEST_FOLDER = await mkdtemp(join(tmpdir(), 'whatsapp-sms-fallback-test-'));
  await bundleModules();
}
