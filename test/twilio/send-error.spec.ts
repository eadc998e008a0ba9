import { describe, expect, it } from '@jest/globals';
import twilio from 'twilio';
import { TwilioRateLimitedError } from '../../src/twilio/api-request-client.js';
import { classifySendError } from '../../src/twilio/send-error.js';
import { UnknownTwilioAccountError } from '../../src/twilio/twilio-accounts.js';

function answer(statusCode: number, code?: number): Error {
  const body = code === undefined ? 'Bad gateway' : { code, message: `Error ${code}`, status: statusCode };
  return new twilio.RestException({ statusCode, body: JSON.stringify(body) });
}

function networkError(code: string): Error {
  return Object.assign(new Error(`connect ${code}`), { code });
}

describe('classifySendError', () => {
  it.each([21211, 21408, 21606, 21610, 21612, 21614, 21617, 30006, 30007, 30034, 30450, 99999])(
    'HTTP 400 with code %i is rejected: Twilio will never send this message',
    (code) => {
      expect(classifySendError(answer(400, code))).toMatchObject({ outcome: 'rejected', code: String(code) });
    },
  );

  it.each([403, 405, 413, 422])('HTTP %i is rejected', (status) => {
    expect(classifySendError(answer(status, 20000))).toMatchObject({ outcome: 'rejected' });
  });

  it.each([
    [400, 21611],
    [400, 30001],
    [400, 30017],
    [400, 20429],
    [429, 20429],
    [429, 21611],
    [401, 20003],
    [403, 20003],
    [403, 20005],
    [400, 10001],
    [404, 20404],
  ])('HTTP %i with code %i was not processed, so it may be sent again', (status, code) => {
    expect(classifySendError(answer(status, code))).toMatchObject({
      outcome: 'not_processed',
      code: String(code),
    });
  });

  it.each([403, 404, 405, 407])(
    'HTTP %i without a Twilio code comes from a proxy, so nothing was processed',
    (status) => {
      expect(classifySendError(answer(status))).toMatchObject({
        outcome: 'not_processed',
        code: `HTTP ${status}`,
      });
    },
  );

  it('HTTP 404 about the Messaging Service is rejected: that setting is wrong', () => {
    const message = 'The requested resource /Services/MG1 was not found';
    const body = JSON.stringify({ code: 20404, message, status: 404 });
    expect(classifySendError(new twilio.RestException({ statusCode: 404, body }))).toMatchObject({
      outcome: 'rejected',
    });
  });

  it.each([500, 502, 503, 504, 408, 302])(
    'HTTP %i is ambiguous, so the SMS is not simply sent again',
    (status) => {
      expect(classifySendError(answer(status, 20500))).toMatchObject({ outcome: 'ambiguous', code: '20500' });
      expect(classifySendError(answer(status))).toMatchObject({
        outcome: 'ambiguous',
        code: `HTTP ${status}`,
      });
    },
  );

  it('HTTP 503 is ambiguous even if its code is a retryable one', () => {
    expect(classifySendError(answer(503, 20429))).toMatchObject({ outcome: 'ambiguous' });
  });

  it('a 429 keeps the wait that Twilio asks for', () => {
    expect(classifySendError(new TwilioRateLimitedError(7))).toMatchObject({
      outcome: 'not_processed',
      code: '20429',
      retryAfterSeconds: 7,
    });
    expect(classifySendError(new TwilioRateLimitedError(null, '21611'))).toMatchObject({
      outcome: 'not_processed',
      code: '21611',
      retryAfterSeconds: null,
    });
  });

  it.each([
    'ECONNREFUSED',
    'ENOTFOUND',
    'EAI_AGAIN',
    'ENETUNREACH',
    'EHOSTUNREACH',
    'CERT_HAS_EXPIRED',
    'ERR_TLS_CERT_ALTNAME_INVALID',
  ])('%s comes before the request is on its way, so it was not processed', (code) => {
    expect(classifySendError(networkError(code))).toMatchObject({ outcome: 'not_processed', code });
  });

  it.each(['ECONNRESET', 'ECONNABORTED', 'ETIMEDOUT', 'EPIPE', 'ERR_BAD_RESPONSE', 'SOMETHING_NEW'])(
    '%s is ambiguous: the SMS may have been sent',
    (code) => {
      expect(classifySendError(networkError(code))).toMatchObject({ outcome: 'ambiguous', code });
    },
  );

  it.each([new Error('?'), 'a string', undefined, null, { code: 'ECONNREFUSED' }])(
    'an unknown error is ambiguous: %p',
    (error) => {
      expect(classifySendError(error)).toMatchObject({ outcome: 'ambiguous', code: 'UNKNOWN' });
    },
  );

  it('an account that is no longer configured is waited for: the operator can add it', () => {
    expect(classifySendError(new UnknownTwilioAccountError('AC1'))).toMatchObject({
      outcome: 'not_processed',
      code: 'UNKNOWN_ACCOUNT',
    });
  });
});
