import { type Command, CommanderError } from 'commander';
import { constants } from 'node:os';
import { createInterface } from 'node:readline/promises';
import { inWords } from './startup-error.js';

/** The person, or the program, at the other end of a command. */
export interface Terminal {
  readonly print: (text: string) => void;
  /** Prints to stderr, so that the output stays readable for a program. */
  readonly complain: (text: string) => void;
  /** Asks a person for consent; left out if nobody can be asked. */
  readonly confirm?: (question: string) => Promise<boolean>;
}

export const EXIT_CODES = 'Exit codes: 0 done, 1 not done or something is wrong, 2 wrong usage.';

const MISUNDERSTOOD = 2;

/** What an action of a command reports: commander drops what it returns. */
export type End = (exitCode: number) => void;

/** @returns the exit code of the action; 0 after help, 2 for wrong usage, which runs no action. */
export async function execute(
  build: (end: End) => Command,
  args: readonly string[],
  terminal: Terminal,
): Promise<number> {
  let exitCode = 0;
  const program = build((code) => {
    exitCode = code;
  });
  speakThrough(terminal, program);
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    terminal.complain(`✖ ${complaintOf(error)}. --help tells more.`);
    return MISUNDERSTOOD;
  }
}

function speakThrough(terminal: Terminal, command: Command): void {
  command.exitOverride().configureOutput({
    writeOut: (text) => {
      terminal.print(text.trimEnd());
    },
    // What is wrong is in the error, and told in one line.
    writeErr: () => undefined,
  });
  for (const subcommand of command.commands) speakThrough(terminal, subcommand);
}

/** Commander's message on one line. */
function complaintOf({ code, message }: CommanderError): string {
  // A command with subcommands was given none: Commander has printed its help.
  if (code === 'commander.help') return 'A command is missing';
  return message
    .replace(/^error: /, '')
    .replace(/\s*\n\s*/g, ' ')
    .replace(/\.$/, '');
}

/**
 * The main program of a command: runs it to its exit code. Nothing that goes wrong prints a stack.
 * @param run gets the arguments and the terminal, and gives the exit code.
 */
export async function runProgram(
  run: (args: readonly string[], terminal: Terminal) => Promise<number>,
): Promise<void> {
  failWithoutOutput();
  try {
    const exitCode = await run(process.argv.slice(2), terminal());
    process.exitCode ??= exitCode;
  } catch (error) {
    complain(`✖ ${inWords(error)}`);
    process.exit(1);
  }
}

/**
 * The work goes on, whoever reads of it: a reader such as `head` closes the pipe when it has seen enough. Output that is lost
 * otherwise, e.g. on a full disk, is a failure.
 */
function failWithoutOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED' || process.exitCode === 1) return;
    process.exitCode = 1;
    complain(`✖ The output cannot be written: ${error.message}`);
  });
  process.stderr.on('error', () => undefined);
}

/** Asks a person for consent. Without one to ask, or without consent, it says that nothing was changed. */
export async function hasConsent(
  question: string,
  { confirm, complain }: Pick<Terminal, 'confirm' | 'complain'>,
): Promise<boolean> {
  if (confirm === undefined) {
    complain('✖ Not a terminal, so nothing was changed: add --yes to do it, or --dry-run to preview.');
    return false;
  }
  if (await confirm(question)) return true;
  complain('Nothing was changed.');
  return false;
}

/** Ends a command when a signal comes, with the exit code that a shell reports then: 128 and the signal's number. */
export function endOnSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      complain(`✖ Interrupted (${signal}). What was committed stays; it is safe to repeat.`);
      process.exit(128 + constants.signals[signal]);
    });
  }
}

function terminal(): Terminal {
  return {
    print: (text) => {
      process.stdout.write(`${text}\n`);
    },
    complain,
    ...(process.stdin.isTTY && process.stdout.isTTY && { confirm }),
  };
}

function complain(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Ctrl-D is no consent, and Ctrl-C ends the program. */
async function confirm(question: string): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  const closed = new AbortController();
  lines.once('close', () => {
    closed.abort();
  });
  lines.once('SIGINT', () => process.emit('SIGINT', 'SIGINT'));
  try {
    const answer = await lines.question(`${question} [y/N] `, { signal: closed.signal });
    return /^y(es)?$/i.test(answer.trim());
  } catch (error) {
    if (closed.signal.aborted) return false;
    throw error;
  } finally {
    lines.close();
  }
}
