import { describe, expect, it } from '@jest/globals';
import { readOptions } from '../../chaos/options.js';
import { UsageError } from '../../simulator/command-line.js';

describe('the options of chaos', () => {
  it('have defaults', () => {
    expect(readOptions([])).toEqual({
      seed: 1,
      minutes: 2,
      messagesPerSecond: 30,
      pollAfterMinutes: null,
      drainMinutes: 5,
      keep: false,
    });
    expect(readOptions(['--seed', '7', '--minutes', '0.5', '--poll-after', '0.5', '--keep'])).toMatchObject({
      seed: 7,
      minutes: 0.5,
      pollAfterMinutes: 0.5,
      keep: true,
    });
  });

  it('may ask for help', () => {
    expect(readOptions(['-h'])).toBeUndefined();
  });

  it.each([
    [['--minutes', '0'], '--minutes is a number above 0 and up to 1440, not 0'],
    [['--rate', 'many'], '--rate is a number above 0 and up to 200, not many'],
    [['--sed', '2'], "Unknown option '--sed'"],
    [['fast'], "Unexpected argument 'fast'"],
  ])('are refused where they are %j', (args, message) => {
    const read = () => readOptions(args);
    expect(read).toThrow(UsageError);
    expect(read).toThrow(message);
  });
});
