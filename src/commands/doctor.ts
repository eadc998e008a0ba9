import type { Command } from 'commander';
import type { Terminal } from '../process/command-line.js';
import type { Patient } from './examine.js';
import type { Finding } from './finding.js';
import type { Surroundings } from './surroundings.js';

export function addDoctor(program: Command, { terminal, end }: Surroundings): void {
  program
    .command('doctor')
    .summary('look for what keeps the service from its work')
    .description(
      'Looks for what keeps the service from its work, and says what to do about it.\n\n' +
        'It checks the environment, the database and its queue, the senders of companies, the account at Twilio, and the ' +
        'way of the callbacks: it sends one to PUBLIC_BASE_URL that is not signed, and one that is. Run it with the ' +
        "service's environment, while the service runs. The probe leaves one event, of the message SM000….",
    )
    .option('--json', 'for a program to read', false)
    .action(async (options: { json: boolean }) => {
      const { thisEnvironment } = await import('./environment.js');
      end(await runDoctor(options, thisEnvironment(), terminal));
    });
}

/** @returns the exit code: 1 if any check fails. */
export async function runDoctor(
  { json }: { readonly json: boolean },
  patient: Patient,
  { print }: Pick<Terminal, 'print'>,
): Promise<number> {
  const { examine } = await import('./examine.js');
  const findings: Finding[] = [];
  for await (const finding of examine(patient)) {
    findings.push(finding);
    if (!json) print(inWords(finding));
  }
  if (json) print(JSON.stringify(findings, null, 2));
  return findings.every(({ ok }) => ok) ? 0 : 1;
}

function inWords({ check, ok, found, advice }: Finding): string {
  return `${ok ? '✔' : '✖'} ${check}: ${found}${advice === null ? '' : `. ${advice}.`}`;
}
