import { describe, expect, it } from '@jest/globals';
import {
  type Answer,
  failureOfAnswer,
  failureOfError,
  OUTAGE_REASONS,
  outageInWords,
} from '../../src/twilio/outage-reasons.js';

function answer(status: number, code?: number, options: Partial<Answer> = {}): Answer {
  const body = code === undefined ? '<html></html>' : { code, message: `Error ${code}` };
  return { status, body, isOfOneItem: false, retryAfterSeconds: null, ...options };
}

describe('an answer of Twilio', () => {
  it.each([
    [401, 20003, 'bad_token'],
    [401, undefined, 'bad_token'],
    [403, 20003, 'bad_token'],
    [401, 20005, 'account_suspended'],
    [403, 20005, 'account_suspended'],
    [400, 10001, 'account_suspended'],
    [403, 90010, 'account_suspended'],
    [404, 20404, 'unknown_account'],
    [429, 20429, 'rate_limited'],
    [429, 63038, 'rate_limited'],
    [400, 20429, 'rate_limited'],
    [500, 20500, 'unreachable'],
    [502, undefined, 'unreachable'],
    [503, 20429, 'unreachable'],
    [504, undefined, 'unreachable'],
    [408, undefined, 'unreachable'],
    // Another server answers instead of Twilio.
    [200, undefined, 'unreachable'],
    [302, undefined, 'unreachable'],
    [403, undefined, 'unreachable'],
    [404, undefined, 'unreachable'],
    [407, undefined, 'unreachable'],
  ])('with HTTP %i and code %p is %s', (status, code, reason) => {
    expect(failureOfAnswer(answer(status, code))).toMatchObject({
      reason,
      code: code === undefined ? `HTTP ${status}` : String(code),
    });
  });

  it.each([
    [201, 0],
    [400, 21211],
    [400, 21610],
    [400, 21611],
    [429, 21611],
    [422, 60200],
  ])(
    'with HTTP %i and code %i is about one message: Twilio accepts the account’s requests',
    (status, code) => {
      expect(failureOfAnswer(answer(status, code))).toBeNull();
    },
  );

  it('about an unknown message says nothing, because its account may be unknown', () => {
    expect(failureOfAnswer(answer(404, 20404, { isOfOneItem: true }))).toBeUndefined();
    expect(failureOfAnswer(answer(403, 20403))).toBeUndefined();
  });

  it('about an unknown Messaging Service says nothing against the account', () => {
    const body = { code: 20404, message: 'The requested resource /Services/MG1 was not found' };
    expect(failureOfAnswer(answer(404, 20404, { body }))).toBeNull();
  });

  it('keeps the wait that Twilio asks for', () => {
    expect(failureOfAnswer(answer(429, 20429, { retryAfterSeconds: 90 }))).toMatchObject({
      retryAfterSeconds: 90,
    });
  });
});

describe('a request without an answer', () => {
  it.each([
    'ENOTFOUND',
    'EAI_AGAIN',
    'ECONNREFUSED',
    'ECONNRESET',
    'ECONNABORTED',
    'ETIMEDOUT',
    'CERT_HAS_EXPIRED',
  ])('says that Twilio is unreachable: %s', (code) => {
    const error = Object.assign(new Error(code), { code });
    expect(failureOfError(error)).toMatchObject({ reason: 'unreachable', code });
  });

  it.each([new TypeError('?'), 'a string', undefined])(
    'from this program’s own fault says nothing: %p',
    (error) => {
      expect(failureOfError(error)).toBeUndefined();
    },
  );
});

it.each(OUTAGE_REASONS)('%s has a plain sentence and a remedy', (reason) => {
  const { meaning, remedy } = outageInWords(reason);
  expect(meaning).toMatch(/^[A-Z].*\.$/);
  expect(remedy).toMatch(/^[A-Z].*\.$/);
});
