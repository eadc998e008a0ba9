import { parseArgs, type ParseArgsConfig } from 'node:util';
import { isNativeError } from 'node:util/types';

/** The command line or the environment is invalid; the message says why. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Like `parseArgs` of node:util. @throws {UsageError} */
export function parseArguments<Config extends ParseArgsConfig>(
  config: Config,
): ReturnType<typeof parseArgs<Config>> {
  try {
    return parseArgs(config);
  } catch (error) {
    // After its first sentence, Node's message explains positional arguments.
    throw new UsageError(isNativeError(error) ? error.message.split('. ')[0] : String(error));
  }
}

export const EXIT_CODES = 'Exit codes: 0 done, 1 not done or something is wrong, 2 wrong usage.';

export interface Output {
  readonly print: (text: string) => void;
  readonly complain: (text: string) => void;
}

/** A program of the simulator. `run` returns the exit code, or throws a UsageError for invalid arguments. */
export interface Program {
  readonly usage: string;
  readonly run: (args: readonly string[], output: Output) => Promise<number>;
}

/** @returns the exit code: 0 for help, 2 for wrong usage. */
export async function execute(
  { usage, run }: Program,
  args: readonly string[],
  output: Output,
): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    output.print(usage);
    return 0;
  }
  try {
    return await run(args, output);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    output.complain(`✖ ${error.message.replace(/\.$/, '')}. See --help.`);
    return 2;
  }
}

/** Runs the main program and sets its exit code. No error prints a stack. */
export async function runProgram(program: Program): Promise<void> {
  // A reader such as `head` closes the pipe early. The work continues.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED' || process.exitCode === 1) return;
    process.exitCode = 1;
    complain(`✖ The output cannot be written: ${error.message}`);
  });
  process.stderr.on('error', () => undefined);
  const print = (text: string) => {
    process.stdout.write(`${text}\n`);
  };
  const complain = (text: string) => {
    process.stderr.write(`${text}\n`);
  };
  try {
    const exitCode = await execute(program, process.argv.slice(2), { print, complain });
    process.exitCode ??= exitCode;
  } catch (error) {
    complain(`✖ ${isNativeError(error) ? error.message || error.name : String(error)}`);
    process.exit(1);
  }
}
