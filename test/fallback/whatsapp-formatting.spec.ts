import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { withoutFormatting } from '../../src/fallback/whatsapp-formatting.js';

const RENDERED: readonly (readonly [text: string, plain: string])[] = [
  ['*Reminder*: _tomorrow_ at ~10~ 11:00', 'Reminder: tomorrow at 10 11:00'],
  ['Hello *world*', 'Hello world'],
  ['*two words*, _two words_, ~two words~', 'two words, two words, two words'],
  ['(*bold*) "_italic_" ¡*Hola*!', '(bold) "italic" ¡Hola!'],
  ['*_x_* _~y~_ ~*_z_*~', 'x y z'],
  ['_*Note*: read this_', 'Note: read this'],
  ['*a _b* c_', 'a b c'],
  ['**bold** ***bold*** __init__', 'bold bold init'],
  ['~10~', '10'],
  ['*Total:* 5*3', 'Total: 5*3'],
  ['*a*b*', 'a*b'],
  ['*first*\n*second*\r\n*third*', 'first\nsecond\r\nthird'],
  ['#*123*', '#123'],
  ['*Ana*_Luz_', 'AnaLuz'],
  // Letters of every script, emoji, and text from right to left.
  ['*Größe* *你好* *привет*', 'Größe 你好 привет'],
  ['*שלום* עולם, \u200f*مرحبا*\u200f', 'שלום עולם, \u200fمرحبا\u200f'],
  ['🔥*¡Oferta!*🔥 *🎉 Party 🎉*', '🔥¡Oferta!🔥 🎉 Party 🎉'],
  ['❤️*x*❤️ 1️⃣*Paso*', '❤️x❤️ 1️⃣Paso'],
  ['*e\u0301te\u0301*', 'e\u0301te\u0301'],
  ['*\u{1D400}*', '\u{1D400}'],
  // Code.
  ['Your code is ```123 456```.', 'Your code is 123 456.'],
  ['```line 1\n  *line* 2```', 'line 1\n  *line* 2'],
  ['Type `a_b_c` or `*x*`', 'Type a_b_c or *x*'],
  ['*bold `_code_` bold*', 'bold _code_ bold'],
  ['*`code`*', 'code'],
  // Quotes and lists.
  ['> quoted *text*', 'quoted text'],
  ['> > twice', 'twice'],
  ['* one\n* *two*\n* three', '- one\n- two\n- three'],
  ['> * item', '- item'],
  ['* a *', '- a *'],
  ['*> quote*', 'quote'],
  // Links lose only the marks around them.
  ['*https://example.com/x_y*', 'https://example.com/x_y'],
  ['_More: https://example.com/terms_', 'More: https://example.com/terms'],
  ['*Pay at https://example.com/x*.', 'Pay at https://example.com/x.'],
  ['_see https://example.com/_a_b_ now_', 'see https://example.com/_a_b_ now'],
  ['_see https://example.com/a_ and _this_', 'see https://example.com/a and this'],
  ['`https://example.com/a_b_`', 'https://example.com/a_b_'],
  ['*https://example.com*👋', 'https://example.com👋'],
  ['_john_doe@example.com_', 'john_doe@example.com'],
  ['_@handle_', '@handle'],
];

const UNCHANGED: readonly string[] = [
  '',
  'Plain text.',
  // Marks that are not next to a word, or are inside one.
  '5 * 3 * 2',
  '2*3*4',
  'snake_case_name',
  '_private_name',
  'a*b*c',
  'x * a *',
  '*a * b',
  '* ',
  '*bold*text',
  'é*x*',
  'e\u0301*x*',
  'prices from ~5 to 10',
  '~5-~10 km',
  '50% off* today. *Conditions apply',
  '*one line\nanother*',
  '*one line\u2028another*',
  // Nothing between the marks.
  '**',
  '*****',
  '* * *',
  '*** Notice ***',
  'Name: ____ (____)',
  '"**"',
  '(____) (____)',
  // Smileys and emoji.
  '^_^ hi ^_^',
  '>_< -_- >_<',
  '*️⃣ 1 *️⃣',
  '¯\\_(ツ)_/¯',
  // Links, addresses, names.
  'https://example.com/_a_b_',
  'https://example.com/~user/*x*/_y_?q=_z_#*w*',
  'Go to example.com/_a_b_ or www.example.com/?x=_y_',
  'ftp://example.com/*a*',
  'https://example.com/_a_/www._b_/x',
  '_foo_@example.com',
  'first_last_@example.com',
  '@handle_name_ and @_handle_',
  // Code that is not closed or is empty.
  '`',
  '``',
  '```',
  '``````',
  '``` ```',
  '`open',
  "5` 6` and `quoted'",
  '`a\nb`',
  // Lists and quotes that an SMS shows as they are, or that WhatsApp does not know.
  '- one\n- two\n1. three\n2. four',
  '>x',
  '> ',
  'a > b',
  '5 > 3\n>_<',
];

describe('withoutFormatting', () => {
  it.each(RENDERED)('renders %j as %j', (text, plain) => {
    expect(withoutFormatting(text)).toBe(plain);
  });

  it.each(UNCHANGED)('leaves %j as it is', (text) => {
    expect(withoutFormatting(text)).toBe(text);
  });

  const pieceWithoutLinks = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.constantFrom('*', '_', '~', '**', '*_', '> ', '* ', ' ', '\n', '@', '.', '/', '-'),
    },
    { weight: 2, arbitrary: fc.constantFrom('a', 'Ω', '7', 'é', 'e\u0301', '👋', '❤️', '(', '"', '^') },
  );
  const piece = fc.oneof(
    { weight: 6, arbitrary: pieceWithoutLinks },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        '://',
        'www.',
        'https://example.com/_a_',
        'example.com/x_',
        'a_b@example.com',
      ),
    },
  );
  const textOf = (pieces: fc.Arbitrary<string>) =>
    fc.array(pieces, { maxLength: 40, size: 'max' }).map((chosen) => chosen.join(''));
  const code = fc.constantFrom('`', '```', '`*x*`', '``');
  const withCode = textOf(fc.oneof(piece, code));

  // Without the mark before it, a link may no longer be one: `*a*_www.*/*_`.
  it('changes nothing the second time, unless the text has code or a link', () => {
    fc.assert(
      fc.property(textOf(pieceWithoutLinks), (text) => {
        const once = withoutFormatting(text);
        expect(withoutFormatting(once)).toBe(once);
      }),
      { numRuns: 3_000 },
    );
  });

  /** The rest of a text without the characters of another, which it contains in the same order. */
  function removed(text: string, plain: string): string {
    let rest = '';
    let at = 0;
    const characters = Array.from(text);
    for (const [index, character] of characters.entries()) {
      const isBullet =
        character === '*' &&
        characters[index + 1] === ' ' &&
        plain[at] === '-' &&
        (at === 0 || /[\n\r]/.test(plain.charAt(at - 1)));
      if (isBullet || plain.startsWith(character, at)) at += character.length;
      else rest += character;
    }
    return rest + plain.slice(at);
  }

  it('only removes marks and the space of quotes, apart from the bullet', () => {
    fc.assert(
      fc.property(fc.oneof(withCode, fc.string({ unit: 'grapheme' })), (text) => {
        expect(removed(text, withoutFormatting(text))).toMatch(/^[*_~`> ]*$/);
      }),
      { numRuns: 2_000 },
    );
  });

  it('keeps every letter and every digit', () => {
    const letters = (text: string) => text.match(/[\p{L}\p{M}\p{N}]/gu) ?? [];
    fc.assert(
      fc.property(withCode, (text) => {
        expect(letters(withoutFormatting(text))).toEqual(letters(text));
      }),
      { numRuns: 2_000 },
    );
  });

  it('never changes a link', () => {
    const segment = fc.string({ unit: fc.constantFrom('a', '7', '_', '*', '~', '-', '.'), minLength: 1 });
    const link = fc
      .tuple(fc.constantFrom('https://', 'http://', 'https://www.'), fc.array(segment, { maxLength: 4 }))
      .map(([scheme, path]) => `${scheme}example.com/${path.join('/')}/x`);
    const around = fc.constantFrom('', '*', '_', '~', '*_', ' ', '(', '> ', '* ', 'x ', '*Pay:* ');
    fc.assert(
      fc.property(
        fc.webUrl({ withQueryParameters: true }),
        link,
        around,
        around,
        (url, other, start, end) => {
          expect(withoutFormatting(`${start}${other}${end}`)).toContain(other);
          expect(withoutFormatting(`*Hello* _you_, see ${url}`)).toBe(`Hello you, see ${url}`);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('takes time in proportion to the length, whatever the text', () => {
    const units = [
      '*',
      '_',
      '`',
      '```',
      '*a',
      '*a ',
      ' *a',
      '_*',
      '`a ',
      ' `a',
      '```a',
      '> ',
      '* ',
      '"*"',
      '~a~',
      'a_',
      '@',
      '_@',
      'a.',
      'a/',
      '://',
      'a://',
      'www.',
      'https://a_ ',
      ' _https://a_',
      'e\u0301',
      '*\u0301',
      '*\n',
      '(',
      '👋*',
      '>',
    ];
    const began = process.cpuUsage();
    for (const unit of units) withoutFormatting(`x)${unit.repeat(2 ** 16 / unit.length)}/@`);
    // 64 KB each: quadratic work on one of them would take longer.
    expect(process.cpuUsage(began).user).toBeLessThan(20_000_000);
  });
});
