import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';

/** Looks once, for all workers, whether dist/ is new, and names the database that they copy on a PostgreSQL server. */
export default function setUp({ rootDir }) {
  process.env.TEST_DIST = execFileSync(process.execPath, ['build.js', 'state'], {
    cwd: rootDir,
    encoding: 'utf8',
  }).trim();
  process.env.TEST_TEMPLATE_DATABASE = `whatsapp_sms_fallback_test_${randomUUID().replaceAll('-', '')}`;
}
