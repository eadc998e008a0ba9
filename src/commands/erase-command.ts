import { maskNumber } from '../messages/masked-number.js';
import { parsePhoneNumber } from '../messages/phone-number.js';
import type { NumberTraces } from '../retention/number-erasure.js';
import { readArguments } from './arguments.js';
import { type Command, type Terminal, UsageError } from './command.js';
import type { Operations } from './operations.js';
import { counted } from './table.js';

/** What `npm run erase` was asked to do. */
export interface EraseOptions {
  /** In E.164. */
  readonly number: string;
  readonly dryRun: boolean;
  readonly yes: boolean;
}

const usage = `Erases a person's telephone number, e.g. because the person has asked for it.

  npm run erase -- --number +15551234567 [--dry-run] [--yes]

  --number     with its country, e.g. +15551234567
  --dry-run    only says what there is
  --yes        does not ask

Events, fallbacks and rejected callbacks stay as rows, without the number, the text and what Twilio sent; so all counts
stay. A fallback that is still open needs the number, and is left alone: repeat the command later. What the application
itself has about the person, in messages and elsewhere, and what Twilio has, is not touched.
Exit codes: 0 done, 1 not done or not all of it, 2 not understood.`;

const flags = {
  number: { type: 'string' },
  'dry-run': { type: 'boolean', default: false },
  yes: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h' },
} as const;

const NAMES_COUNTRY = /^\s*(?:[a-z]+:)?\s*(?:\+|00)/i;

export const eraseCommand: Command<EraseOptions> = { usage, parse: readEraseOptions, run: erase };

function readEraseOptions(args: readonly string[]): EraseOptions | undefined {
  const { values, positionals } = readArguments(args, flags);
  if (values.help === true) return undefined;
  if (positionals.length > 0) throw new UsageError('The number is given as --number +15551234567');
  if (values.number === undefined) throw new UsageError('--number is missing');
  // A search may guess that the digits begin with a country; what cannot be undone may not.
  const number = NAMES_COUNTRY.test(values.number) ? parsePhoneNumber(values.number) : null;
  if (number === null) throw new UsageError('--number begins with its country, e.g. +15551234567');
  return { number, dryRun: values['dry-run'], yes: values.yes };
}

async function erase(
  { number, dryRun, yes }: EraseOptions,
  { erasure }: Operations,
  terminal: Terminal,
): Promise<number> {
  const { print, complain, confirm } = terminal;
  const traces = await erasure.find(number);
  print(`Of ${maskNumber(number)} there are ${inWords(traces)}.`);
  if (dryRun) {
    print('A dry run: nothing was changed.');
    return 0;
  }
  if (!yes) {
    if (confirm === undefined) {
      complain(
        '✖ Nothing was changed, because nobody can be asked: add --yes to do it, or --dry-run to look only.',
      );
      return 1;
    }
    if (!(await confirm('Erase the number? It cannot be undone.'))) {
      complain('Nothing was changed.');
      return 1;
    }
  }
  const erased = await erasure.erase(number);
  print(`Erased: ${inWords(erased)}.`);
  if (erased.openFallbacks === 0) return 0;
  complain(`✖ ${counted(erased.openFallbacks, 'fallback')} not at an end yet: repeat this later.`);
  return 1;
}

function inWords({ events, fallbacks, rejectedCallbacks }: NumberTraces): string {
  return [
    counted(events, 'event'),
    counted(fallbacks, 'fallback'),
    counted(rejectedCallbacks, 'rejected callback'),
  ].join(', ');
}
