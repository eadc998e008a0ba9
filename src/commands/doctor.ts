import type { Command } from 'commander';
import type { Terminal } from '../process/command-line.js';
import type { Surroundings } from './command.js';
import type { Patient } from './examine.js';
import type { Finding } from './finding.js';

export function addDoctor(program: Command, { terminal, end }: Surroundings): void {
  program
    .command('doctor')
    .summary('find problems that keep the service from working')
    .description(
      'Finds problems that keep the service from working, and says what to do about them.\n\n' +
        'It checks the environment, the database and its queue, the senders of companies, the account at Twilio, and the ' +
        'path of callbacks: it sends an unsigned and a signed probe to PUBLIC_BASE_URL. Run it with the ' +
        "service's environment, while the service runs. The signed probe leaves one event, of the message SM000….",
    )
    .option('--json', 'print JSON', false)
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
