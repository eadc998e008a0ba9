import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TestApplication, WEBHOOK_PATH, WEBHOOK_URL } from '../support/application.js';
import { type CallbackPost, errorBody, postCallback, statusParameters } from './post-callback.js';

describe('the signature of a form', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(async () => {
    await application.close();
  });

  async function accepted(post: CallbackPost & { parameters: object }): Promise<Record<string, unknown>> {
    expect((await postCallback(application, post)).status).toBe(204);
    const [row] = await application.query<{ payload: Record<string, unknown> }>(
      'select payload from message_events where message_sid = $1',
      [(post.parameters as Record<string, unknown>).MessageSid],
    );
    return row?.payload ?? {};
  }

  it.each([
    ['names in brackets', { 'Meta[x]': '1', 'Meta[y][]': '2', 'a.b': '3' }],
    ['a name that is repeated 50 times', { Media: Array.from({ length: 50 }, (_, index) => `m${index}`) }],
    ['a name that is repeated with one value', { Media: ['same', 'same', 'other'] }],
    ['values with spaces around them', { Body: '  two before, one after ', Blank: ' ', 'a name': '\t\n' }],
    ['plus signs, ampersands and per cents', { Sum: '1+1=2 & 100%', '+': '%2B', '&=': '%' }],
    ['empty values', { Empty: '', Several: ['', 'x', ''] }],
    ['text of any language', { Body: 'Grüße, 日本語, 🎉, עברית', Größe: 'ß' }],
    ['names that objects have anyway', { constructor: 'c', toString: 't', hasOwnProperty: 'h', length: '7' }],
    ['names that look like indices', { 10: 'ten', 9: 'nine', 1: 'one' }],
    ['an empty name', { '': 'nameless' }],
  ])('holds with %s, and the payload keeps them unchanged', async (_, extra) => {
    const parameters = statusParameters(extra);
    expect(await accepted({ parameters })).toEqual(parameters);
  });

  it('holds with a parameter called __proto__', async () => {
    const parameters = Object.defineProperty({ ...statusParameters() }, '__proto__', {
      value: 'polluted',
      enumerable: true,
    });
    const payload = await accepted({ parameters });
    expect(Object.entries(payload)).toContainEqual(['__proto__', 'polluted']);
    expect(Object.getPrototypeOf({})).toBe(Object.prototype);
  });

  it('holds with 500 parameters, and is not checked with more, repeated names included', async () => {
    const named = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`p${index}`, `${index}`]));
    const usual = Object.keys(statusParameters()).length;
    const parameters = statusParameters(named(500 - usual));
    expect(await accepted({ parameters })).toEqual(parameters);
    const repeated = { Same: Array.from({ length: 501 - usual }, String) };
    for (const extra of [named(501 - usual), repeated]) {
      const answer = await postCallback(application, { parameters: statusParameters(extra) });
      expect(answer.status).toBe(413);
      expect(errorBody(answer).message).toBe('A callback has 500 parameters at most');
    }
  });

  it.each(['%zz', '%', 'a%ffb', '%C3%28', '%00'])('holds with the value %s', async (value) => {
    const parameters = statusParameters();
    const body = `${new URLSearchParams(parameters as Record<string, string>).toString()}&Odd=${value}`;
    // Bytes that are not UTF-8 are signed as the replacement character, as far as the library can tell.
    const text = Buffer.from(unescapeBytes(value)).toString('utf8');
    const payload = await accepted({ parameters: { ...parameters, Odd: text }, body });
    expect(payload.Odd).toBe(text.replaceAll('\0', '\uFFFD'));
  });

  it.each([
    ['spaces as %20 and as +', 'a=1%202&b=1+2'],
    ['characters that need no escape', '%7Ea=%27b%27&c=%41'],
    ['characters that an encoder would escape', "~a='b'&c={d}|[e]\"<f>^`\\"],
    ['escapes in lower case', 'a=%c3%bc%2f'],
    ['escapes that are none', 'a=%&b=%zz&c=%C3'],
    ['a name repeated', 'a=2&a=1&a=2'],
    ['nothing in it', ''],
    ['empty parts', '&&a&=&=b&'],
    ['a second question mark', 'a=b?c=d'],
    ['a URL in it', 'next=https://example.com:8443/?x=1'],
  ])('covers the query string as it was sent, with %s', async (_, query) => {
    await accepted({ target: `${WEBHOOK_PATH}?${query}`, parameters: statusParameters() });
  });

  it.each([
    ['the same URL with the port', WEBHOOK_URL.replace('.com/', '.com:443/'), 204],
    ['the same URL with another port', WEBHOOK_URL.replace('.com/', '.com:8443/'), 403],
    ['the URL without its query', WEBHOOK_URL, 403, '?tenant=7'],
    ['the URL with another query', `${WEBHOOK_URL}?tenant=8`, 403, '?tenant=7'],
    ['the URL with its fragment', `${WEBHOOK_URL}#rc=5&rp=all`, 403],
  ])('made for %s', async (_, signedUrl, status, query = '') => {
    const answer = await postCallback(application, { signedUrl, target: WEBHOOK_PATH + query });
    expect(answer.status).toBe(status);
  });

  it('excludes the fragment of the URL, which asks Twilio for retries', async () => {
    const answer = await application.twilio.sendCallback({
      url: `${WEBHOOK_URL}?tenant=7#rc=5&rp=all`,
      parameters: statusParameters(),
    });
    expect(answer.status).toBe(204);
  });

  it.each([
    ['a changed value', { MessageStatus: 'read' }],
    ['an added parameter', { ErrorCode: '63049' }],
    ['another account of the sender', { From: '+15550002222' }],
  ])('fails with %s', async (_, change) => {
    const parameters = statusParameters();
    const body = new URLSearchParams({ ...(parameters as Record<string, string>), ...change }).toString();
    expect((await postCallback(application, { parameters, body })).status).toBe(403);
  });
});

/** The bytes of a percent-encoded text. A character outside an escape stands for itself. */
function unescapeBytes(text: string): number[] {
  const parts = text.match(/%[0-9a-f]{2}|[^]/gi) ?? [];
  return parts.map((part) => (part.length === 3 ? Number.parseInt(part.slice(1), 16) : part.charCodeAt(0)));
}
