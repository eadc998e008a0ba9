import type { DataSource } from 'typeorm';
import type { Env } from '../config/env.js';
import { hasApplicationTables } from '../messages/application-tables.js';
import { isE164, maskNumber, maskNumbersIn, parseSender } from '../messages/phone-number.js';
import { accountClients, reasonOf } from './check-twilio.js';
import { type Finding, ill, well } from './finding.js';

type SenderEnv = Pick<
  Env,
  | 'TWILIO_ACCOUNT_SID'
  | 'TWILIO_AUTH_TOKEN'
  | 'TWILIO_SUBACCOUNTS'
  | 'TWILIO_API_BASE_URL'
  | 'TWILIO_PHONE_NUMBER_REMINDERS'
  | 'TWILIO_MESSAGING_SERVICE_SID'
>;

const CHECK = 'company senders';

/** Rows of `companies` per query. */
const PAGE = 1_000;

/** How many companies with the same fault are named; the others are counted. */
const NAMED = 20;

/** The part of a name or number that is shown. */
const BEGINNING = /^.{0,40}/u;

/** Numbers read per account. Twilio lists up to 1,000 per answer. */
const MAXIMUM_NUMBERS = 10_000;

/**
 * Why no SMS can be sent from a company's number:
 * - `missing`: the company has none, and there is no default sender;
 * - `unreadable`: it is not a phone number with a country code;
 * - `unowned`: no configured account owns it;
 * - `without_sms`: an account owns it, but it cannot send SMS.
 */
type Fault = 'missing' | 'unreadable' | 'unowned' | 'without_sms';

const FAULTS: Readonly<Record<Fault, { readonly found: string; readonly advice: string }>> = {
  missing: {
    found: 'no companies.phone_number, and no default sender',
    advice: 'Set companies.phone_number or TWILIO_PHONE_NUMBER_REMINDERS',
  },
  unreadable: {
    found: 'companies.phone_number is not a phone number with a country code',
    advice: 'Write it in E.164, e.g. +15557770001',
  },
  unowned: {
    found: 'companies.phone_number belongs to no configured account',
    advice: "Correct it, or add the number's account to TWILIO_SUBACCOUNTS",
  },
  without_sms: {
    found: 'companies.phone_number cannot send SMS',
    advice: 'Use another number, or enable SMS for it',
  },
};

interface Company {
  readonly id: string;
  /** The id if the company has no name. */
  readonly name: string;
  /** As the application stores it; empty if there is none. */
  readonly phoneNumber: string;
}

/** The numbers of the configured accounts, and whether each can send SMS. */
interface AccountNumbers {
  readonly sms: ReadonlyMap<string, boolean>;
  /** Whether the list has all numbers. */
  readonly complete: boolean;
}

/** Checks that the numbers of the application's companies can send SMS. Reports nothing without companies. */
export async function* checkSenders(dataSource: DataSource, env: SenderEnv): AsyncGenerator<Finding> {
  if (!hasApplicationTables(dataSource)) return;
  const [table] = await dataSource.query<{ isEmpty: boolean }[]>(
    'select not exists (select from companies) as "isEmpty"',
  );
  if (table?.isEmpty === true) return;
  const isThroughService = env.TWILIO_MESSAGING_SERVICE_SID !== undefined;
  if (isThroughService && env.TWILIO_SUBACCOUNTS.length === 0) {
    yield well(CHECK, 'companies.phone_number is not used: SMS go through the Messaging Service');
    return;
  }
  const numbers = await listNumbers(env);
  if ('problem' in numbers) {
    yield ill(CHECK, `Twilio did not list the account's numbers: ${numbers.problem}`, 'Correct the account');
  }
  const known = 'problem' in numbers ? null : numbers;
  const defaultSender = defaultSenderOf(env, known);
  const tally = new Tally();
  for await (const company of companies(dataSource)) tally.add(company, known, defaultSender);
  // A Messaging Service belongs to the main account only.
  const scope = isThroughService ? ' (messages of TWILIO_SUBACCOUNTS only)' : '';
  for (const [fault, found] of tally.faults) yield faultFinding(fault, found, defaultSender, scope);
  if (tally.faults.size === 0 && known !== null) yield well(CHECK, tally.inWords(known) + scope);
}

/** Companies with the same fault. */
interface Faulty {
  readonly named: string[];
  count: number;
}

class Tally {
  readonly faults = new Map<Fault, Faulty>();
  private count = 0;
  private rewritten = 0;
  private byDefault = 0;

  add(company: Company, numbers: AccountNumbers | null, defaultSender: DefaultSender): void {
    const { phoneNumber } = company;
    this.count++;
    const fault = faultOf(phoneNumber, numbers, defaultSender);
    if (fault !== null) {
      const faulty = this.faults.get(fault) ?? { named: [], count: 0 };
      this.faults.set(fault, faulty);
      faulty.count++;
      if (faulty.named.length < NAMED) faulty.named.push(nameOf(company));
    } else if (phoneNumber === '') {
      this.byDefault++;
    } else if (!isE164(phoneNumber)) {
      this.rewritten++;
    }
  }

  inWords({ complete }: AccountNumbers): string {
    return [
      `${companyCount(this.count)} can send SMS`,
      ...(this.byDefault === 0 ? [] : [`${this.byDefault} of them from the default sender`]),
      ...(this.rewritten === 0 ? [] : [`${this.rewritten} of them with a number that is not in E.164`]),
      ...(complete ? [] : [`only the first ${MAXIMUM_NUMBERS} numbers of an account were compared`]),
    ].join(', ');
  }
}

function faultOf(
  phoneNumber: string,
  numbers: AccountNumbers | null,
  defaultSender: DefaultSender,
): Fault | null {
  if (phoneNumber === '') return defaultSender === 'none' ? 'missing' : null;
  const sender = parseSender(phoneNumber);
  if (sender === null) return 'unreadable';
  if (numbers === null) return null;
  const canSend = numbers.sms.get(sender);
  if (canSend === undefined) return numbers.complete ? 'unowned' : null;
  return canSend ? null : 'without_sms';
}

/** Whether TWILIO_PHONE_NUMBER_REMINDERS can replace a company's number. */
type DefaultSender = 'none' | 'usable' | 'unusable';

function defaultSenderOf(
  { TWILIO_PHONE_NUMBER_REMINDERS: number }: SenderEnv,
  numbers: AccountNumbers | null,
): DefaultSender {
  const sender = number === undefined ? null : parseSender(number);
  if (sender === null) return 'none';
  if (numbers === null) return 'usable';
  return (numbers.sms.get(sender) ?? !numbers.complete) ? 'usable' : 'unusable';
}

function faultFinding(
  fault: Fault,
  { named, count }: Faulty,
  defaultSender: DefaultSender,
  scope: string,
): Finding {
  const { found, advice } = FAULTS[fault];
  const rest = count - named.length;
  const names = named.join(', ') + (rest === 0 ? '' : ` and ${companyCount(rest)} more`);
  return ill(CHECK, `${found}: ${names}. ${consequence(fault, defaultSender)}${scope}`, advice);
}

function consequence(fault: Fault, defaultSender: DefaultSender): string {
  const isTried = fault === 'unowned' || fault === 'without_sms';
  switch (defaultSender) {
    case 'usable':
      return isTried
        ? 'Twilio refuses each of their SMS, which is then sent from the default sender'
        : 'Their SMS are sent from the default sender';
    case 'unusable':
      return 'Each of their SMS fails, because the default sender cannot send it either';
    case 'none':
      return isTried
        ? 'Each of their SMS fails, because there is no default sender'
        : 'Each of their SMS is skipped as no_sender_number';
  }
}

/** Makes one request per 1,000 numbers, however many companies there are. */
async function listNumbers(env: SenderEnv): Promise<AccountNumbers | { readonly problem: string }> {
  const sms = new Map<string, boolean>();
  let complete = true;
  try {
    for (const { client } of accountClients(env)) {
      const listed = await client.incomingPhoneNumbers.list({ limit: MAXIMUM_NUMBERS, pageSize: 1_000 });
      for (const { phoneNumber, capabilities } of listed) {
        sms.set(phoneNumber, capabilities.sms || sms.get(phoneNumber) === true);
      }
      complete &&= listed.length < MAXIMUM_NUMBERS;
    }
  } catch (error) {
    return { problem: reasonOf(error) };
  }
  return { sms, complete };
}

async function* companies(dataSource: DataSource): AsyncGenerator<Company> {
  for (let after: string | null = null; ;) {
    const page: Company[] = await readPage(dataSource, after);
    yield* page;
    if (page.length < PAGE) return;
    after = page.at(-1)?.id ?? null;
  }
}

/** Pages by the primary key, whatever its type. */
function readPage(dataSource: DataSource, after: string | null): Promise<Company[]> {
  return dataSource.query<Company[]>(
    `select id::text as id, coalesce(nullif(trim(name::text), ''), id::text) as name,
            coalesce(trim(phone_number::text), '') as "phoneNumber"
       from companies
      ${after === null ? '' : 'where id > $1'} order by companies.id limit ${PAGE}`,
    after === null ? [] : [after],
  );
}

function nameOf({ name, phoneNumber }: Company): string {
  return maskNumbersIn(shown(name)) + (phoneNumber === '' ? '' : ` (${maskNumber(shown(phoneNumber))})`);
}

/** Shortens a text to one line without terminal control characters. */
function shown(text: string): string {
  const line = text.replace(/[\p{C}\s]+/gu, ' ').trim();
  const [start = ''] = BEGINNING.exec(line) ?? [];
  return start.length < line.length ? `${start}…` : line;
}

/** `1 company`, `1,234 companies`. */
function companyCount(count: number): string {
  return `${count.toLocaleString('en')} ${count === 1 ? 'company' : 'companies'}`;
}
