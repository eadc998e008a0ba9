import { UsageError } from '../simulator/command-line.js';

/** Ended from outside, which is no fault of the program. */
class Interruption extends Error {
  override readonly name = 'Interruption';
}

/** What a program gets that starts others, all of which have to end with it. */
export interface Surroundings {
  /** Aborted by Ctrl-C and the like; whatever was started is ended then. */
  readonly interrupted: AbortSignal;
  /** Tells the person who waits what is going on, and after how many seconds. */
  readonly say: (text: string) => void;
}

/**
 * Runs a program to its end, and tells what it ended of where that was no result.
 * @param program gives its exit code.
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
    // What nobody has caught may have come after the program's last look.
    if (!(interruption.signal.reason instanceof Interruption)) interruption.signal.throwIfAborted();
  } catch (error) {
    // Ctrl-C in the terminal also ends the programs of PostgreSQL that are at work: what fails then is not the reason.
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
  // A reader such as `head` has seen enough.
  process.stdout.on('error', () => {
    interruption.abort(new Interruption('Interrupted: nobody reads any more what is printed'));
  });
  // It would end this program alone, and leave running what was started.
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

/** Without a stack where the message tells all; anything else is a fault of the program, and its stack is wanted. */
function inWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof UsageError || error instanceof Interruption) return error.message;
  return error.stack ?? error.message;
}
