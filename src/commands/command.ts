import type { Operations } from './operations.js';

/** The command line asks for something that cannot be done. The message says what. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The person, or the program, at the other end of a command. */
export interface Terminal {
  readonly print: (text: string) => void;
  /** Prints beside the output, where that is read by a program. */
  readonly complain: (text: string) => void;
  /** Asks a person for consent; left out where there is none. */
  readonly confirm?: (question: string) => Promise<boolean>;
}

export interface Command<Options> {
  readonly usage: string;
  /**
   * @returns undefined where help was asked for.
   * @throws UsageError
   */
  parse(args: readonly string[]): Options | undefined;
  /** @returns the exit code: 0 where it was done, 1 where it was not. */
  run(options: Options, operations: Operations, terminal: Terminal): Promise<number>;
}

/** @returns the exit code; 2 for arguments that cannot be understood, which do not even open the database. */
export async function execute<Options>(
  command: Command<Options>,
  args: readonly string[],
  open: () => Promise<Operations>,
  terminal: Terminal,
): Promise<number> {
  const options = parse(command, args, terminal);
  if (typeof options === 'number') return options;
  const operations = await open();
  try {
    return await command.run(options.parsed, operations, terminal);
  } finally {
    await operations.close();
  }
}

function parse<Options>(
  command: Command<Options>,
  args: readonly string[],
  terminal: Terminal,
): { readonly parsed: Options } | number {
  try {
    const parsed = command.parse(args);
    if (parsed !== undefined) return { parsed };
    terminal.print(command.usage);
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    terminal.complain(`✖ ${error.message}. --help tells more.`);
    return 2;
  }
}
