import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { TestApplication } from './support/application.js';
import { DEFAULT_FROM, expectOneSms, policyFailure, smsFor } from './support/fallbacks.js';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

/** The only code of that language in the step. */
function snippet(step: string, language: string): string {
  const [, text] =
    new RegExp(`\\d\\. \\*\\*${step}.*?\`\`\`${language}\\n(.*?)\`\`\``, 's').exec(readme) ?? [];
  if (text === undefined) throw new Error(`The README has no ${language} in the step ${step}`);
  return text;
}

describe('the README', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({ env: { TWILIO_PHONE_NUMBER_REMINDERS: DEFAULT_FROM } });
  });

  afterAll(async () => {
    await application.close();
  });

  it('has an INSERT for a message whose policy failure leads to an SMS', async () => {
    const insert = snippet('Tell the service about your messages', 'sql');
    await application.query(insert);
    const [message] = await application.query<{ sid: string; body: string }>(
      'select twilio_sid as sid, body from messages',
    );
    const { sid = '', body } = message ?? {};
    await policyFailure(application, sid);
    await expectOneSms(application, sid);
    expect(smsFor(application, sid)).toMatchObject([{ from: DEFAULT_FROM, body }]);
    // The callback that the next step simulates belongs to that message.
    const [simulated] = /npm run simulate -- --status undelivered[^]*?```/.exec(readme) ?? [];
    expect(simulated).toContain(`--sid ${sid}`);
  });
});
