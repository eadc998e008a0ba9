import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parse } from 'node:querystring';
import { parseForm } from '../../src/webhooks/parse-form.js';

/**
 * The parts of a form, in any order: names, separators, whole and broken escapes, and any other ASCII. A form escapes
 * everything else, and Node's parser decodes unescaped characters as bytes next to a broken escape.
 */
const piece = fc.oneof(
  fc.constantFrom(
    '&',
    '=',
    '+',
    '%',
    '%2',
    '%2B',
    '%2b',
    '%00',
    '%zz',
    '%E2%9C',
    '%E2%9C%85',
    'To',
    '__proto__',
  ),
  fc.constantFrom('constructor', 'toString', 'a[b]', '0', '1'),
  fc.string({ unit: 'binary-ascii', maxLength: 5 }),
);
const form = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(''));

describe('a form', () => {
  it('has the parameters that Node’s querystring finds in it, in their order', () => {
    fc.assert(
      fc.property(form, (text) => {
        const expected = parse(text, '&', '=', { maxKeys: 0 });
        expect(Object.entries(parseForm(text))).toEqual(Object.entries(expected));
      }),
      { numRuns: 5_000 },
    );
  });

  it('keeps text that should have been escaped', () => {
    expect({ ...parseForm('ë=é%&Body=é+%C3%A9&a=%+41é') }).toEqual({ ë: 'é%', Body: 'é é', a: '% 41é' });
  });

  it('has all of its parameters, however many there are', () => {
    const text = Array.from({ length: 3_000 }, (_, index) => `Name${index}=value&Repeated=${index}`).join(
      '&',
    );
    const parameters = parseForm(text);
    expect(Object.keys(parameters)).toHaveLength(3_001);
    expect(parameters.Repeated).toHaveLength(3_000);
  });

  it('has no parameter that is not in it', () => {
    const parameters = parseForm('To=x');
    expect(['constructor', 'toString', '__proto__'].filter((name) => name in parameters)).toEqual([]);
  });
});
