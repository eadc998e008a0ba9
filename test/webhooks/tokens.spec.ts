import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { demoAccount } from '../../simulator/demo-account.js';
import { TestApplication } from '../support/application.js';
import { jsonCallback } from './json-callback.js';
import { postCallback, statusParameters } from './post-callback.js';

const SECONDARY = 'secondary0secondary0secondary000';
const [FIRST, SECOND, UNKNOWN] = ['ACfirst', 'ACsecond', 'ACunknown'];
const tokens: Record<string, string> = { [FIRST]: 'token-of-first', [SECOND]: 'token-of-second' };

describe('the token that a callback is verified with', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({
      env: {
        TWILIO_AUTH_TOKEN_SECONDARY: SECONDARY,
        TWILIO_SUBACCOUNTS: Object.entries(tokens)
          .map((pair) => pair.join(':'))
          .join(','),
      },
    });
  });

  afterAll(async () => {
    await application.close();
  });

  async function isAccepted(accountSid: string, token: string | undefined): Promise<boolean> {
    const parameters = statusParameters({ AccountSid: accountSid });
    const { status } = await postCallback(application, { parameters, token });
    const rows = await application.query('select account_sid from message_events where message_sid = $1', [
      parameters.MessageSid,
    ]);
    expect(rows).toEqual(status === 204 ? [{ account_sid: accountSid }] : []);
    expect([204, 403]).toContain(status);
    return status === 204;
  }

  it.each([
    ['the primary one of the main account', demoAccount.sid, demoAccount.authToken],
    ['the secondary one of the main account', demoAccount.sid, SECONDARY],
    ["a subaccount's own", FIRST, tokens[FIRST]],
    ["another subaccount's own", SECOND, tokens[SECOND]],
  ])('can be %s', async (_, accountSid, token) => {
    expect(await isAccepted(accountSid, token)).toBe(true);
  });

  it.each([
    ["a subaccount's, for the main account", demoAccount.sid, tokens[FIRST]],
    ["another subaccount's, for a subaccount", FIRST, tokens[SECOND]],
    ["the main account's, for a subaccount", FIRST, demoAccount.authToken],
    ["the main account's secondary one, for a subaccount", FIRST, SECONDARY],
    ["the main account's, for an account that is not configured", UNKNOWN, demoAccount.authToken],
  ])('cannot be %s', async (_, accountSid, token) => {
    expect(await isAccepted(accountSid, token)).toBe(false);
  });

  it("is the subaccount's own for JSON too", async () => {
    const json = statusParameters({ AccountSid: FIRST });
    const statuses = [];
    for (const token of [tokens[FIRST], demoAccount.authToken]) {
      statuses.push((await postCallback(application, jsonCallback(json, { token }))).status);
    }
    expect(statuses).toEqual([204, 403]);
  });

  it('is never in the log', () => {
    const log = JSON.stringify(application.logs.lines);
    for (const token of [demoAccount.authToken, SECONDARY, ...Object.values(tokens)]) {
      expect(log).not.toContain(token);
    }
  });
});
