import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { partsOf, TemplateContent } from '../../src/fallback/template-content.js';
import { classifySendError } from '../../src/twilio/send-error.js';
import { TwilioAccounts, UnknownTwilioAccountError } from '../../src/twilio/twilio-accounts.js';
import { TWILIO_TIMEOUT_MILLISECONDS } from '../support/fallbacks.js';

const VARIABLES = { '1': 'Ana', '2': 'orders/42', path: 'a b' };

const url = (target: unknown) => ({ type: 'URL', title: 'Open', url: target });
const phone = { type: 'PHONE_NUMBER', title: 'Call us', phone: '+15550001111' };
const reply = { type: 'QUICK_REPLY', title: 'Yes', id: 'yes' };
const copyCode = { type: 'COPY_CODE', copy_code_text: 'Copy' };

/**
 * Answers of the Content API, from
 * https://github.com/TwilioDevEd/api-snippets/tree/master/messaging/content-templates.
 */
const TEMPLATES: readonly (readonly [string, types: unknown, links: string[], notCarriedOver: string[]])[] = [
  ['a text', { 'twilio/text': { body: 'Hi {{1}}' } }, [], []],
  [
    'a link button',
    { 'twilio/call-to-action': { body: 'Tap', actions: [url('https://example.com/a')] } },
    ['https://example.com/a'],
    [],
  ],
  [
    'a link with a value of the message, and a phone button',
    {
      'twilio/call-to-action': { body: 'Tap', actions: [url('https://example.com/{{2}}?n={{ 1 }}'), phone] },
    },
    ['https://example.com/orders/42?n=Ana'],
    ['buttons'],
  ],
  [
    'a link without a value',
    {
      'twilio/call-to-action': {
        body: 'Tap',
        actions: [url('https://example.com/{{5}}'), url('https://example.com/b')],
      },
    },
    ['https://example.com/b'],
    ['buttons'],
  ],
  [
    'a link whose value has a space',
    { 'twilio/call-to-action': { body: 'Tap', actions: [url('https://example.com/{{path}}')] } },
    ['https://example.com/a%20b'],
    [],
  ],
  [
    'links that are not for the web, or none at all',
    {
      'twilio/call-to-action': {
        actions: [url('tel:+15550001111'), url('javascript:alert(1)'), url('/a'), url(''), url(7)],
      },
    },
    [],
    ['buttons'],
  ],
  [
    'a coupon',
    { 'twilio/call-to-action': { actions: [{ type: 'COPY_CODE', code: 'SAVE' }] } },
    [],
    ['buttons'],
  ],
  ['quick replies', { 'twilio/quick-reply': { body: 'Ok?', actions: [reply, reply] } }, [], ['buttons']],
  [
    'a list',
    { 'twilio/list-picker': { body: 'Choose', button: 'Open', items: [{ item: 'A', id: 'a' }] } },
    [],
    ['list'],
  ],
  ['media', { 'twilio/media': { body: 'Look', media: ['https://example.com/{{1}}.png'] } }, [], ['media']],
  ['media without a file', { 'twilio/media': { body: 'Look', media: [] } }, [], []],
  ['a location', { 'twilio/location': { latitude: 1, longitude: 2, label: 'Here' } }, [], ['location']],
  [
    'a card with a picture and both kinds of buttons',
    {
      'twilio/card': {
        title: 'Hi',
        media: ['https://example.com/a.png'],
        actions: [url('http://example.com/a'), reply],
      },
    },
    ['http://example.com/a'],
    ['media', 'buttons'],
  ],
  [
    'a WhatsApp card without a picture',
    {
      'whatsapp/card': {
        body: 'Hi',
        footer: 'Bye',
        media: null,
        actions: [url('https://example.com/'), url('https://example.com/')],
      },
    },
    ['https://example.com/'],
    [],
  ],
  [
    'a carousel',
    {
      'twilio/carousel': {
        body: 'New',
        cards: [
          { title: 'A', media: 'https://example.com/a.png', actions: [reply, url('https://example.com/a')] },
          { title: 'B', media: 'https://example.com/b.png', actions: [url('https://example.com/{{2}}')] },
        ],
      },
    },
    ['https://example.com/a', 'https://example.com/orders/42'],
    ['carousel', 'media', 'buttons'],
  ],
  [
    'a catalog',
    { 'twilio/catalog': { body: 'Menu', items: [{ id: 'a', media_url: null }] } },
    [],
    ['catalog'],
  ],
  [
    'a flow',
    { 'twilio/flows': { body: 'Start', button_text: 'Go', media_url: 'https://example.com/a.png' } },
    [],
    ['flow', 'media'],
  ],
  [
    'a flow of WhatsApp',
    { 'whatsapp/flows': { body: 'Start', flow_id: '1', media_url: null } },
    [],
    ['flow'],
  ],
  ['a payment', { 'twilio/pay': { body: 'Pay' } }, [], ['payment']],
  ['a code to copy', { 'whatsapp/authentication': { body: '{{1}}', actions: [copyCode] } }, [], ['buttons']],
  [
    'several types, of which WhatsApp gets the richest',
    {
      'twilio/text': { body: 'Open https://example.com/sms' },
      'twilio/media': { media: ['https://example.com/a.png'] },
      'twilio/call-to-action': { actions: [url('https://example.com/a')] },
      'twilio/list-picker': null,
    },
    ['https://example.com/a'],
    [],
  ],
  ['a type of another channel beside', { 'twilio/text': { body: 'Hi' }, 'apple/schedule': {} }, [], []],
  ['an unknown type beside', { 'twilio/text': { body: 'Hi' }, 'whatsapp/poll': {} }, [], ['template']],
  ['a malformed type beside', { 'twilio/text': { body: 'Hi' }, 'twilio/card': 'x' }, [], ['template']],
  ['unknown types only', { 'twilio/schedule': { id: '1' } }, [], ['template']],
  ['buttons of another form', { 'twilio/card': { actions: { a: 1 }, cards: 'x' } }, [], ['buttons']],
  ['nothing', {}, [], ['template']],
  ['null', null, [], ['template']],
  ['a list of types', [{ 'twilio/text': { body: 'Hi' } }], [], ['template']],
];

describe('partsOf', () => {
  it.each(TEMPLATES)('reads %s', (_, types, links, notCarriedOver) => {
    expect(partsOf(types, VARIABLES)).toEqual({ links, notCarriedOver });
  });

  it('accepts any JSON, and returns only web addresses without placeholders', () => {
    const action = fc.record(
      {
        type: fc.constantFrom('URL', 'PHONE_NUMBER'),
        url: fc.oneof(fc.webUrl(), fc.string(), fc.jsonValue()),
      },
      { requiredKeys: [] },
    );
    const content = fc.record(
      { media: fc.jsonValue(), actions: fc.oneof(fc.array(action), fc.jsonValue()), cards: fc.jsonValue() },
      { requiredKeys: [] },
    );
    const name = fc.constantFrom('twilio/card', 'twilio/carousel', 'twilio/text', 'whatsapp/x', '__proto__');
    const variables = fc.dictionary(fc.constantFrom('1', '2', 'constructor'), fc.string());
    const types = fc.oneof(fc.jsonValue(), fc.dictionary(name, fc.oneof(content, fc.jsonValue())));
    fc.assert(
      fc.property(types, variables, (value, values) => {
        for (const link of partsOf(value, values).links)
          expect(link).toMatch(/^https?:(?!.*\{\{\w+\}\})\S+$/i);
      }),
    );
  });

  it.each(['{{2}}', 'x{{constructor}}', '', '%7B%7B1%7D%7D'])(
    'does not use the value %j as a path',
    (value) => {
      const types = { 'twilio/call-to-action': { actions: [url('https://example.com/{{1}}')] } };
      expect(partsOf(types, { '1': value, '2': 'b' })).toEqual({ links: [], notCarriedOver: ['buttons'] });
    },
  );
});

describe('TemplateContent', () => {
  const accountSid = `AC${'1'.repeat(32)}`;
  const contentSid = `HX${'a'.repeat(32)}`;
  const requests: string[] = [];
  let answer: RequestListener = () => undefined;
  let baseUrl = '';
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    answer(request, response);
  });

  const answerWith =
    (status: number, body: string, type = 'application/json'): RequestListener =>
    (_, response) => {
      response.writeHead(status, { 'Content-Type': type }).end(body);
    };

  function find(at = baseUrl, account = accountSid, sid = contentSid) {
    const accounts = new TwilioAccounts({
      accounts: [{ accountSid, authTokens: ['token'] }],
      apiBaseUrl: at,
      timeoutMilliseconds: TWILIO_TIMEOUT_MILLISECONDS,
    });
    return new TemplateContent(accounts).find(account, sid, VARIABLES);
  }

  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address() as AddressInfo;
    baseUrl = `http://127.0.0.1:${address.port}`;
  });

  beforeEach(() => {
    requests.length = 0;
  });

  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  it('calls the Content API as the account, and fills links from the message, never from the samples', async () => {
    const actions = [url('https://example.com/{{2}}'), url('https://example.com/{{7}}')];
    const template = {
      sid: contentSid,
      variables: { '2': 'sample', '7': 'sample' },
      types: { 'twilio/call-to-action': { body: 'Tap', actions } },
    };
    answer = answerWith(200, JSON.stringify(template));
    await expect(find()).resolves.toEqual({
      links: ['https://example.com/orders/42'],
      notCarriedOver: ['buttons'],
    });
    const credentials = Buffer.from(`${accountSid}:token`).toString('base64');
    expect(requests).toEqual([`GET /v1/Content/${contentSid} Basic ${credentials}`]);
  });

  it.each([
    ['that is unknown', 404, '{"code":20404,"message":"Not found","status":404}'],
    ['of another account', 403, '{"code":20403,"message":"Forbidden","status":403}'],
    ['described in HTML', 200, '<html></html>'],
    ['described by nothing', 200, ''],
    ['that is null', 200, 'null'],
    ['without types', 200, '{"sid":"HX"}'],
    ['with types of another form', 200, '{"types":["twilio/text"]}'],
    ['that is a string', 200, '"twilio/text"'],
  ])('does not know a template %s', async (_, status, body) => {
    answer = answerWith(status, body);
    await expect(find()).resolves.toEqual({ links: [], notCarriedOver: ['template'] });
  });

  it('does not ask for anything but a ContentSid', async () => {
    await expect(find(baseUrl, accountSid, '../Messages')).resolves.toEqual({
      links: [],
      notCarriedOver: ['template'],
    });
    expect(requests).toEqual([]);
  });

  it.each([
    ['a wrong token', answerWith(401, '{"code":20003,"status":401}'), '20003'],
    ['too many requests', answerWith(429, '{"code":20429,"status":429}'), '20429'],
    ['a fault of Twilio’s', answerWith(500, '{"code":20500,"status":500}'), '20500'],
    ['a gateway', answerWith(503, '<html></html>', 'text/html'), 'HTTP 503'],
    ['a broken connection', (request) => request.socket.destroy(), 'ECONNRESET'],
    ['no answer', () => undefined, 'ECONNABORTED'],
  ])('throws after %s', async (_, how, code) => {
    answer = how;
    const error: unknown = await find().catch((reason: unknown) => reason);
    expect(classifySendError(error)).toMatchObject({ code });
  });

  it('throws if Twilio is unreachable', async () => {
    const error: unknown = await find('http://127.0.0.1:1').catch((reason: unknown) => reason);
    expect(classifySendError(error)).toMatchObject({ outcome: 'not_processed', code: 'ECONNREFUSED' });
  });

  it('throws for an account that is not configured', async () => {
    await expect(find(baseUrl, `AC${'2'.repeat(32)}`)).rejects.toThrow(UnknownTwilioAccountError);
  });
});
