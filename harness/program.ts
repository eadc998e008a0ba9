import { UsageError } from '../simulator/command-line.js';

/** An end from outside, which is not a fault of the program. */
class Interruption extends Error {
  override readonly name = 'Interruption';
}

/** The environment of a program that starts others, all of which must end with it. */
export interface Surroundings {
  /** Aborted by Ctrl-C and the like; everything that was started ends then. */
  readonly interrupted: AbortSignal;
  /** Prints progress with the elapsed seconds. */
  readonly say: (text: string) => void;
}

/**
 * Runs a program to its end, and prints the reason if it ended without a result.
 * @param program returns its exit code.
 * @param failureCode the exit code if it throws; wrong usage is 2.
 */
export async function runProgram(
  program: (surroundings: Surroundings) => Promise<number>,
  failureCode: number,
): Promise<void> {
  const interruption = new AbortController();
  abortFromOutside(interruption);
  try {
    process.exitCode = await program({ interrupted: interruption.signal, say: sayer() });
    // An uncaught error may have come after the program's last check.
    if (!(interruption.signal.reason instanceof Interruption)) interruption.signal.throwIfAborted();
  } catch (error) {
    // Ctrl-C in the terminal also ends running programs of PostgreSQL: their failure is not the reason.
    const reason: unknown = interruption.signal.aborted ? interruption.signal.reason : error;
    process.stderr.write(`✖ ${inWords(reason)}\n`);
    process.exitCode = reason instanceof UsageError ? 2 : failureCode;
  }
}

function abortFromOutside(interruption: AbortController): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      interruption.abort(new Interruption(`Interrupted by ${signal}`));
    });
  }
  // A reader such as `head` closed the pipe.
  process.stdout.on('error', () => {
    interruption.abort(new Interruption('Interrupted: the output pipe is closed'));
  });
  // An uncaught error would end only this program and leave its processes running.
  process.on('uncaughtException', (error) => {
    interruption.abort(error);
  });
}

function sayer(): (text: string) => void {
  const startedAt = Date.now();
  return (text) => {
    const seconds = ((Date.now() - startedAt) / 1000).toFixed(1).padStart(7);
    process.stdout.write(`${seconds} s  ${text}\n`);
  };
}

/**
 * Describes an error without a stack if the message is sufficient; any other error is a fault of the program and needs
 * its stack.
 */
function inWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof UsageError || error instanceof Interruption) return error.message;
  return error.stack ?? error.message;
}
