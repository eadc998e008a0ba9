import { maskNumber } from '../messages/masked-number.js';
import { parsePersonName, type PersonName } from '../message-events/people.js';
import { parsePhoneNumber } from '../messages/phone-number.js';
import type { PersonTraces } from '../retention/number-erasure.js';
import { readArguments } from './arguments.js';
import { type Command, type Terminal, UsageError } from './command.js';
import type { Operations } from './operations.js';
import { counted } from './table.js';

/** What `npm run erase` was asked to do. */
export interface EraseOptions {
  readonly name: PersonName;
  readonly dryRun: boolean;
  readonly yes: boolean;
}

const usage = `Erases a person's telephone number and WhatsApp user ID, e.g. because the person has asked for it.

  npm run erase -- --number +15551234567 [--dry-run] [--yes]
  npm run erase -- --user-id US.13491208655302741918 [--dry-run] [--yes]

  --number     with its country, e.g. +15551234567; every form of it is found, e.g. of Mexico +52… and +521…
  --user-id    WhatsApp's ID of a person with a username
  --dry-run    only says what there is
  --yes        does not ask

Events, fallbacks and rejected callbacks stay as rows, without the number, the text and what Twilio sent; so all counts
stay. A fallback that is still open needs the number, and is left alone: repeat the command later. What the application
itself has about the person, in messages and elsewhere, and what Twilio has, is not touched.
Exit codes: 0 done, 1 not done or not all of it, 2 not understood.`;

const flags = {
  number: { type: 'string' },
  'user-id': { type: 'string' },
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
  const { number, 'user-id': userId } = values;
  if (number === undefined && userId === undefined) throw new UsageError('--number or --user-id is missing');
  if (number !== undefined && userId !== undefined)
    throw new UsageError('Name --number or --user-id, not both');
  const name = number === undefined ? readUserId(userId ?? '') : readNumber(number);
  return { name, dryRun: values['dry-run'], yes: values.yes };
}

function readNumber(text: string): PersonName {
  // A search may guess that the digits begin with a country; what cannot be undone may not.
  const number = NAMES_COUNTRY.test(text) ? parsePhoneNumber(text) : null;
  if (number === null) throw new UsageError('--number begins with its country, e.g. +15551234567');
  return { number };
}

function readUserId(text: string): PersonName {
  const name = parsePersonName(text);
  if (name !== null && 'userId' in name) return name;
  throw new UsageError('--user-id is a WhatsApp user ID, e.g. US.13491208655302741918');
}

async function erase(
  { name, dryRun, yes }: EraseOptions,
  { erasure }: Operations,
  terminal: Terminal,
): Promise<number> {
  const { print, complain, confirm } = terminal;
  const traces = await erasure.find(name);
  print(`Of ${maskNumber('number' in name ? name.number : name.userId)} there are ${inWords(traces)}.`);
  const others = namesBesides(name, traces);
  if (others.length > 0) print(`Also known as ${others.join(', ')}.`);
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
  const erased = await erasure.erase(name);
  print(`Erased: ${inWords(erased)}.`);
  if (erased.openFallbacks === 0) return 0;
  complain(`✖ ${counted(erased.openFallbacks, 'fallback')} not at an end yet: repeat this later.`);
  return 1;
}

function namesBesides(name: PersonName, { person }: PersonTraces): string[] {
  const asked = 'number' in name ? name.number : name.userId;
  return [...person.numbers, ...person.userIds].filter((other) => other !== asked).map(maskNumber);
}

function inWords({ events, fallbacks, rejectedCallbacks }: PersonTraces): string {
  return [
    counted(events, 'event'),
    counted(fallbacks, 'fallback'),
    counted(rejectedCallbacks, 'rejected callback'),
  ].join(', ');
}
