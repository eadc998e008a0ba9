import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SegmentedMessage } from 'sms-segments-calculator';
import {
  isMissing,
  isUnrendered,
  MAXIMUM_SMS_LENGTH,
  smsEncoding,
  toSmsText,
  withLinks,
} from '../../src/fallback/sms-text.js';

const anyText = fc.string({ unit: 'grapheme', maxLength: 2_000, size: 'max' });
/** Lengths around the limit, at which the cut can split an emoji. */
const longText = fc
  .tuple(
    fc.nat({ max: 3 }),
    fc.array(fc.constantFrom('a', 'é', '👋', '👩‍👧'), { minLength: 1_590, maxLength: 1_620 }),
  )
  .map(([lead, characters]) => 'a'.repeat(lead) + characters.join(''));

describe('toSmsText', () => {
  it('keeps a text that fits', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        fc.pre(text.length <= MAXIMUM_SMS_LENGTH);
        expect(toSmsText(text)).toEqual({ text, truncated: false });
      }),
    );
  });

  it('cuts a longer one to at most 1600 characters: its beginning and …', () => {
    fc.assert(
      fc.property(longText, (text) => {
        fc.pre(text.length > MAXIMUM_SMS_LENGTH);
        const sms = toSmsText(text);
        expect(sms.truncated).toBe(true);
        expect(sms.text.endsWith('…')).toBe(true);
        expect(text.startsWith(sms.text.slice(0, -1))).toBe(true);
        // One less if the last place would hold half an emoji.
        expect([1_599, 1_600]).toContain(sms.text.length);
      }),
    );
  });

  it('never splits a surrogate pair', () => {
    fc.assert(
      fc.property(longText, (text) => {
        expect(toSmsText(text).text.isWellFormed()).toBe(true);
      }),
    );
  });
});

describe('isMissing', () => {
  it.each([
    null,
    '',
    ' ',
    '\r\n\t',
    '\u00A0',
    '\u200B\u200C\u200D',
    '\uFEFF',
    '\u2060\u00AD',
    '\u200E \u200F',
    '\uFE0F',
    '\u3164',
    '\u2800',
    '\0',
  ])('is true for %j, which shows nothing', (text) => {
    expect(isMissing(text)).toBe(true);
  });

  it.each(['.', '0', ' a ', '👋', '\u200Ba', '٣', '-', '{}', 'null'])('is false for %j', (text) => {
    expect(isMissing(text)).toBe(false);
  });
});

describe('isUnrendered', () => {
  const sid = `HX${'0123456789abcdef'.repeat(2)}`;

  it.each([
    'Hi {{1}}, your order {{2}} has shipped.',
    'Hi {{ 1 }}',
    'Hi {{first_name}}',
    'Hi {{{name}}}',
    'Hi {{ user.name | upper }}',
    'Hi {{नाम}}',
    '{{1}}',
    '{{\n1\n}}',
    'https://example.com/{{1}}',
    'https://example.com/%7B%7B1%7D%7D?a=%7b%7btoken%7d%7d',
    '{"1":"Ana","2":"42"}',
    ' {"1": "Ana"}\n',
    '\uFEFF{"1":"Ana"}',
    '{}',
    '[]',
    '["Ana","42"]',
    '[{"type":"body","parameters":[]}]',
    '{"types":{"twilio/text":{"body":"Hi"}}}',
    JSON.stringify('{"1":"Ana"}'),
    // No longer valid JSON, but still data.
    "{'1': 'Ana', '2': '42'}",
    '{"1"=>"Ana"}',
    '{"1":"Ana","2":"4',
    "[{'type': 'body'}]",
    '[object Object]',
    'undefined',
    'null',
    sid,
    `\n${sid.toUpperCase()} `,
  ])('is true for %j', (text) => {
    expect(isUnrendered(text)).toBe(true);
  });

  it.each([
    '',
    'Hi Ana, your order 42 has shipped.',
    '123',
    '"123"',
    '"Ana"',
    'true',
    '{ }{',
    '{ } in prose',
    'Use {braces} or {1}',
    '{Note: bring your ID}',
    '{{',
    '}} {{',
    '{{ }}',
    '{{:-)}}',
    'a {{ b',
    ':-{ and :-}}',
    '[URGENT] Call us',
    '[10:30] See you',
    '{"',
    '100% {off}',
    'The object is undefined',
    `Ref. ${sid}`,
    sid.slice(0, -1),
    `SM${'0'.repeat(32)}`,
  ])('is false for %j', (text) => {
    expect(isUnrendered(text)).toBe(false);
  });

  it('finds a placeholder anywhere, and the JSON of any variables', () => {
    const name = fc.stringMatching(/^[A-Za-z0-9_]{0,15}[A-Za-z0-9]$/);
    fc.assert(
      fc.property(
        anyText,
        name,
        anyText,
        fc.dictionary(fc.string(), fc.string()),
        (before, key, after, variables) => {
          expect(isUnrendered(`${before}\n{{${key}}}${after}`)).toBe(true);
          expect(isUnrendered(JSON.stringify(variables))).toBe(true);
        },
      ),
    );
  });

  it('takes time in proportion to the length, whatever the text', () => {
    const began = process.cpuUsage();
    for (const unit of ['{', '{{', '{{a', '}}', '{{a}', '%7B', '[', '{"', '"', '\\"', '\u200B', ' ']) {
      isUnrendered(unit.repeat(2 ** 18 / unit.length));
      isMissing(unit.repeat(2 ** 18 / unit.length));
    }
    // 256 KB each: quadratic work on one of them would take longer.
    expect(process.cpuUsage(began).user).toBeLessThan(20_000_000);
  });
});

describe('withLinks', () => {
  const link = 'https://example.com/orders/42';

  it.each([
    ['appends a link', 'Tap the button.', [link], `Tap the button.\n${link}`],
    [
      'appends several, each once',
      'Hi',
      [link, 'https://example.com/', link],
      `Hi\n${link}\nhttps://example.com/`,
    ],
    ['appends nothing without links', 'Hi ', [], 'Hi '],
    ['is the link alone without a text', ' ', [link], link],
    ['appends none that is there', `See ${link}.`, [link], `See ${link}.`],
    [
      'knows a link without its scheme',
      'See example.com/orders/42, please',
      [link],
      'See example.com/orders/42, please',
    ],
    ['knows a link with a slash more', `(${link}/)`, [link], `(${link}/)`],
    ['appends a link that a longer one starts with', `See ${link}0`, [link], `See ${link}0\n${link}`],
    [
      'appends a link that is a part of a host',
      'Mail.example.com/a',
      ['https://example.com/a'],
      'Mail.example.com/a\nhttps://example.com/a',
    ],
    ['appends a link that ends within a path', `${link}/a`, [link], `${link}/a\n${link}`],
  ])('%s', (_, text, links, expected) => {
    expect(withLinks(text, links)).toBe(expected);
  });

  it('appends a link from the part that is cut off', () => {
    const text = `${'a '.repeat(800)}${link}`;
    const sms = withLinks(text, [link]);
    expect(sms).toMatch(/^(a )+a?…\nhttps:\/\/example\.com\/orders\/42$/);
    expect(sms.length).toBeGreaterThan(MAXIMUM_SMS_LENGTH - 2);
  });

  it('cuts like toSmsText without links', () => {
    const text = 'a👋'.repeat(600);
    expect(withLinks(text, [])).toBe(toSmsText(text).text);
  });

  it('keeps the whole text within 1600, and never cuts a link', () => {
    const path = fc.string({ unit: fc.constantFrom('a', '7', '-', '/', '_'), maxLength: 900, size: 'max' });
    const links = fc.array(
      path.map((rest) => `https://example.com/x${rest}x`),
      { maxLength: 4 },
    );
    fc.assert(
      fc.property(fc.oneof(anyText, longText), links, (text, all) => {
        const sms = withLinks(`Hi ${text}`, all);
        const appended = sms.split('\n').filter((line) => all.includes(line));
        expect(sms.length).toBeLessThanOrEqual(MAXIMUM_SMS_LENGTH);
        const beginning = sms.slice(0, sms.length - appended.join('\n').length - Math.sign(appended.length));
        expect(`Hi ${text}`.startsWith(beginning.replace(/…$/, ''))).toBe(true);
        // These fit beside the 160 characters of text.
        if (all.join().length < 1_400) expect(appended).toEqual([...new Set(all)]);
      }),
    );
  });
});

/** Figures of https://www.twilio.com/docs/glossary/what-sms-character-limit and what-is-ucs-2-character-encoding. */
describe('smsEncoding', () => {
  it.each([
    ['no text', '', 'GSM-7', 1],
    ['160 characters', 'a'.repeat(160), 'GSM-7', 1],
    ['161 characters', 'a'.repeat(161), 'GSM-7', 2],
    ['2 × 153', 'a'.repeat(306), 'GSM-7', 2],
    ['2 × 153 + 1', 'a'.repeat(307), 'GSM-7', 3],
    ['1600 characters', 'a'.repeat(1_600), 'GSM-7', 11],
    ['80 × €, which counts twice', '€'.repeat(80), 'GSM-7', 1],
    ['81 × €', '€'.repeat(81), 'GSM-7', 2],
    ['every character of the extension table', '^{}\\[~]|€'.repeat(8) + 'a'.repeat(16), 'GSM-7', 1],
    ['one more than that', '^{}\\[~]|€'.repeat(8) + 'a'.repeat(17), 'GSM-7', 2],
    ['€ at the end of a segment', 'a'.repeat(152) + '€' + 'a'.repeat(152), 'GSM-7', 3],
    ['letters of GSM-7', 'àäåæèéìñòöøùüÅÆÇÉÑÖØÜß¡¿£¥§', 'GSM-7', 1],
    ['Greek capitals of GSM-7', 'ΔΦΓΛΩΠΨΣΘΞ', 'GSM-7', 1],
    ['ç, which GSM-7 has only as Ç', 'Traça', 'UCS-2', 1],
    ['70 characters with ç', 'ç'.repeat(70), 'UCS-2', 1],
    ['71 characters with ç', 'ç'.repeat(71), 'UCS-2', 2],
    ['2 × 67', 'ç'.repeat(134), 'UCS-2', 2],
    ['2 × 67 + 1', 'ç'.repeat(135), 'UCS-2', 3],
    ['70 characters, most of GSM-7', `ç${'{'.repeat(69)}`, 'UCS-2', 1],
    ['’ without Smart Encoding', 'It’s here', 'UCS-2', 1],
    ['“ without Smart Encoding', '“Hello”', 'UCS-2', 1],
    ['a decomposed é', 'e\u0301', 'UCS-2', 1],
    ['a zero-width space', 'a\u200Bb', 'UCS-2', 1],
    ['a tab', 'a\tb', 'UCS-2', 1],
    ['35 emoji', '👋'.repeat(35), 'UCS-2', 1],
    ['36 emoji', '👋'.repeat(36), 'UCS-2', 2],
    ['an emoji at the end of a segment', `${'a'.repeat(66)}👋${'a'.repeat(66)}`, 'UCS-2', 3],
    ['an emoji before the end of a segment', `${'a'.repeat(65)}👋${'a'.repeat(67)}`, 'UCS-2', 2],
    ['LF, which counts once', 'a\n'.repeat(80), 'GSM-7', 1],
    ['CRLF, which counts twice', 'a\r\n'.repeat(53), 'GSM-7', 1],
    ['CRLF over the limit', 'a\r\n'.repeat(54), 'GSM-7', 2],
  ] as const)('%s', (_, text, encoding, segments) => {
    expect(smsEncoding(text)).toEqual({ encoding, segments });
  });

  it('counts plain texts as Twilio’s calculator does, without it', () => {
    const plain = '\n !"#$%&\'()*+,-./0:;<=>?@AZ_az£¥§¿¡èéùìòÇØøÅåÄÖÑÜäöñüàÆæßÉ';
    const others = ['€', '[', '\r', 'ç', '\u0301', '\u200B', '’', 'Δ', '👋'];
    const text = fc
      .tuple(
        fc.string({ unit: fc.constantFrom(...Array.from(plain)), maxLength: 400, size: 'max' }),
        fc.option(fc.constantFrom(...others), { freq: 3 }),
      )
      .map(([characters, other]) => characters + (other ?? ''));
    fc.assert(
      fc.property(text, (sms) => {
        const { encodingName: encoding, segmentsCount: segments } = new SegmentedMessage(sms);
        expect(smsEncoding(sms)).toEqual({ encoding, segments });
      }),
    );
  });
});
