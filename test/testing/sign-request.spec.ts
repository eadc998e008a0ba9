import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { demoAccount, signRequest, whatsappStatusParameters } from '../../testing/index.js';
import { TestApplication, WEBHOOK_PATH, WEBHOOK_URL } from '../support/application.js';
import { randomMessageSid } from '../support/seed.js';

describe('signRequest', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(() => application.close());

  async function post(request: Partial<Parameters<typeof signRequest>[0]>): Promise<number> {
    const { url, headers, body } = signRequest({
      url: WEBHOOK_URL,
      authToken: demoAccount.authToken,
      parameters: whatsappStatusParameters({
        messageSid: randomMessageSid(),
        status: 'sent',
        to: '+15557654321',
        from: '+15550001111',
      }),
      ...request,
    });
    const target = application.origin + WEBHOOK_PATH + new URL(url).search;
    return (await fetch(target, { method: 'POST', headers, body })).status;
  }

  it.each([
    [204, 'signs a form as Twilio does', {}],
    [204, 'signs JSON as Twilio does', { format: 'json' }],
    [403, 'signs with the token that it is given', { authToken: 'another' }],
    [403, 'signs the URL that it is given', { url: 'https://other.example.com/' }],
  ] as const)('is answered with %i: it %s', async (status, _, request) => {
    expect(await post(request)).toBe(status);
  });
});
