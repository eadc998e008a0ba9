import { readArguments } from './arguments.js';
import { type Terminal, UsageError } from './command.js';
import { examine, type Patient } from './examine.js';
import type { Finding } from './finding.js';

const usage = `Looks for what keeps the service from its work, and says what to do about it.

  npm run doctor -- [--json]

It looks at the environment, the database and its queue, the senders of companies, the account at Twilio, and the way that
Twilio's callbacks take: it sends one to PUBLIC_BASE_URL that is not signed, and one that is. Run it with the service's
environment, while the service runs. Of the probe one event is kept, of the message SM000….

  --json    for a program to read
Exit codes: 0 all is well, 1 something is not, 2 not understood.`;

const flags = {
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h' },
} as const;

/** @returns the exit code. */
export async function runDoctor(
  args: readonly string[],
  patient: Patient,
  terminal: Terminal,
): Promise<number> {
  const options = parse(args, terminal);
  if (typeof options === 'number') return options;
  const findings: Finding[] = [];
  for await (const finding of examine(patient)) {
    findings.push(finding);
    if (!options.json) terminal.print(inWords(finding));
  }
  if (options.json) terminal.print(JSON.stringify(findings, null, 2));
  return findings.every(({ ok }) => ok) ? 0 : 1;
}

function parse(args: readonly string[], terminal: Terminal): { readonly json: boolean } | number {
  try {
    const { values, positionals } = readArguments(args, flags);
    if (positionals.length > 0) throw new UsageError(`${positionals.join(' ')} is too much`);
    if (values.help !== true) return { json: values.json };
    terminal.print(usage);
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    terminal.complain(`✖ ${error.message}. --help tells more.`);
    return 2;
  }
}

function inWords({ check, ok, found, advice }: Finding): string {
  return `${ok ? '✔' : '✖'} ${check}: ${found}${advice === null ? '' : `. ${advice}.`}`;
}
