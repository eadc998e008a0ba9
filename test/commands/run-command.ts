import { type Command, execute } from '../../src/commands/command.js';
import { openOperations } from '../../src/commands/operations.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';

export interface CommandRun {
  readonly exitCode: number;
  readonly output: string;
  readonly complaints: string;
  readonly questions: readonly string[];
}

export interface CommandSurroundings {
  /** What a person answers to each question; nobody is there where it is left out. */
  readonly answer?: boolean;
  readonly policyFailureErrorCodes?: readonly string[];
}

/** Runs a command in this process as its main program would, on this database. */
export async function runCommand<Options>(
  database: DatabaseConnection | null,
  command: Command<Options>,
  args: readonly string[],
  { answer, policyFailureErrorCodes }: CommandSurroundings = {},
): Promise<CommandRun> {
  const output: string[] = [];
  const complaints: string[] = [];
  const questions: string[] = [];
  const confirm = (question: string) => {
    questions.push(question);
    return Promise.resolve(answer === true);
  };
  const exitCode = await execute(
    command,
    args,
    () => {
      if (database === null) throw new Error('The command opened its database');
      return openOperations(database, { policyFailureErrorCodes });
    },
    {
      print: (text) => output.push(text),
      complain: (text) => complaints.push(text),
      ...(answer !== undefined && { confirm }),
    },
  );
  return { exitCode, output: output.join('\n'), complaints: complaints.join('\n'), questions };
}
