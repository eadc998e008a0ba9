import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseUserId } from '../message-events/channel-address.js';
import type { PersonName } from '../message-events/people.js';
import { maskNumber, parsePhoneNumber } from '../messages/phone-number.js';
import { hasConsent, type Terminal } from '../process/command-line.js';
import type { PersonTraces } from '../retention/number-erasure.js';
import { counted, type Surroundings, withOperations } from './command.js';
import type { Operations } from './operations.js';

/** The options of `npm run erase`. */
interface EraseOptions {
  readonly name: PersonName;
  readonly dryRun: boolean;
  readonly yes: boolean;
}

const NAMES_COUNTRY = /^\s*(?:[a-z]+:)?\s*(?:\+|00)/i;

export function addErase(program: Command, surroundings: Surroundings): void {
  const command: Command = program
    .command('erase')
    .summary("erase a person's telephone number and WhatsApp user ID")
    .description(
      "Erases a person's telephone number and WhatsApp user ID, e.g. because the person has asked for it.\n\n" +
        'Events, fallbacks and rejected callbacks stay as rows, without the number, the text and what Twilio sent; so all ' +
        'counts stay. A fallback that is still open needs the number, and is left alone: repeat the command later. What ' +
        'the application itself has about the person, in messages and elsewhere, and what Twilio has, is not touched.',
    )
    .addOption(
      new Option('--number <number>', 'with its country, e.g. +15551234567; every form of it is found')
        .argParser(readNumber)
        .conflicts('userId'),
    )
    .option(
      '--user-id <id>',
      "WhatsApp's ID of a person with a username, e.g. US.13491208655302741918",
      readUserId,
    )
    .option('--dry-run', 'only show what would be erased', false)
    .option('--yes', 'do not ask for confirmation', false)
    .addHelpText('after', '\nExample: npm run erase -- --number +15551234567 --dry-run');
  command.action(({ number, userId, dryRun, yes }: EraseArguments) => {
    const name = number ?? userId;
    if (name === undefined) command.error('--number or --user-id is missing');
    return withOperations(surroundings, (operations) =>
      erase({ name, dryRun, yes }, operations, surroundings.terminal),
    );
  });
}

interface EraseArguments extends Omit<EraseOptions, 'name'> {
  readonly number?: PersonName;
  readonly userId?: PersonName;
}

function readNumber(text: string): PersonName {
  // A search may guess that the digits begin with a country code; an irreversible erasure may not.
  const number = NAMES_COUNTRY.test(text) ? parsePhoneNumber(text) : null;
  if (number === null) throw new InvalidArgumentError('It begins with its country, e.g. +15551234567.');
  return { number };
}

function readUserId(text: string): PersonName {
  const userId = parseUserId(text);
  if (userId !== null) return { userId };
  throw new InvalidArgumentError('Give a WhatsApp user ID, e.g. US.13491208655302741918.');
}

async function erase(
  { name, dryRun, yes }: EraseOptions,
  { erasure }: Operations,
  terminal: Terminal,
): Promise<number> {
  const { print, complain } = terminal;
  const traces = await erasure.find(name);
  print(`Found for ${maskNumber('number' in name ? name.number : name.userId)}: ${inWords(traces)}.`);
  const others = namesBesides(name, traces);
  if (others.length > 0) print(`Also known as ${others.join(', ')}.`);
  if (dryRun) {
    print('A dry run: nothing was changed.');
    return 0;
  }
  if (!yes && !(await hasConsent('Erase the number? It cannot be undone.', terminal))) return 1;
  const erased = await erasure.erase(name);
  print(`Erased: ${inWords(erased)}.`);
  if (erased.openFallbacks === 0) return 0;
  complain(`✖ ${counted(erased.openFallbacks, 'fallback')} still open: repeat this later.`);
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
