import { Command } from 'commander';
import { EXIT_CODES } from '../process/command-line.js';
import type { Surroundings } from './command.js';
import { addBackup } from './backup.js';
import { addDoctor } from './doctor.js';
import { addErase } from './erase.js';
import { addFallbacks } from './fallbacks.js';
import { addMigrate } from './migrate.js';
import { addReplay } from './replay.js';

/** Creates the program with all operator commands. */
export function createProgram(surroundings: Surroundings): Command {
  const program = new Command('whatsapp-sms-fallback')
    .description('Commands for operators. Each is also an npm script: npm run <command> -- …')
    .configureHelp({ showGlobalOptions: false })
    .helpCommand(false)
    .addHelpText('afterAll', `\n${EXIT_CODES}`);
  addMigrate(program, surroundings);
  addDoctor(program, surroundings);
  addFallbacks(program, surroundings);
  addReplay(program, surroundings);
  addErase(program, surroundings);
  addBackup(program, surroundings);
  addSimulate(program);
  return program;
}

/** A program beside the service, which the service never imports. It reads its own arguments. */
const SIMULATE = new URL('../../simulator/simulate.js', import.meta.url).href;

function addSimulate(program: Command): void {
  program
    .command('simulate')
    .description('send signed callbacks to the service, as Twilio does')
    .argument('[argument...]')
    .allowUnknownOption()
    .helpOption(false)
    .action(async () => {
      process.argv.splice(2, 1);
      await import(SIMULATE);
    });
}
