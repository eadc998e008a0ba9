import { type Command, CommanderError } from 'commander';
import { constants } from 'node:os';
import { createInterface } from 'node:readline/promises';
import { inWords } from './startup-error.js';

/** The output of a command, and its question for consent. */
export interface Terminal {
  readonly print: (text: string) => void;
  /** Prints to stderr, so that programs can read the output. */
  readonly complain: (text: string) => void;
  /** Asks for consent; missing without a terminal. */
  readonly confirm?: (question: string) => Promise<boolean>;
}

export const EXIT_CODES = 'Exit codes: 0 done, 1 not done or something is wrong, 2 wrong usage.';

const MISUNDERSTOOD = 2;

/** Reports the exit code of an action, because commander drops what an action returns. */
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
    terminal.complain(`✖ ${complaintOf(error)}. See --help.`);
    return MISUNDERSTOOD;
  }
}

function speakThrough(terminal: Terminal, command: Command): void {
  command.exitOverride().configureOutput({
    writeOut: (text) => {
      terminal.print(text.trimEnd());
    },
    // The error has the message, which is printed on one line.
    writeErr: () => undefined,
  });
  for (const subcommand of command.commands) speakThrough(terminal, subcommand);
}

/** Puts commander's message on one line. */
function complaintOf({ code, message }: CommanderError): string {
  // The subcommand is missing, and commander has printed the help.
  if (code === 'commander.help') return 'A command is missing';
  return message
    .replace(/^error: /, '')
    .replace(/\s*\n\s*/g, ' ')
    .replace(/\.$/, '');
}

/**
 * Runs a command as the main program, sets the exit code, and describes an error in words.
 * @param run receives the arguments and the terminal, and returns the exit code.
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
 * Sets exit code 1 if output is lost, e.g. on a full disk. A reader such as `head` may close the pipe early: the work
 * continues.
 */
function failWithoutOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED' || process.exitCode === 1) return;
    process.exitCode = 1;
    complain(`✖ The output cannot be written: ${error.message}`);
  });
  process.stderr.on('error', () => undefined);
}

/** Asks for consent, and says why nothing happens without it. */
export async function hasConsent(
  question: string,
  { confirm, complain }: Pick<Terminal, 'confirm' | 'complain'>,
): Promise<boolean> {
  if (confirm === undefined) {
    complain('✖ Not a terminal: pass --yes, or --dry-run to preview.');
    return false;
  }
  if (await confirm(question)) return true;
  complain('Nothing was changed.');
  return false;
}

/** Ends a command on a signal, with the exit code that a shell reports: 128 plus the signal's number. */
export function endOnSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      complain(`✖ Interrupted (${signal}). Committed changes are kept; it is safe to run the command again.`);
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

/** Asks on the terminal. Ctrl-D counts as no, and Ctrl-C ends the program. */
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
