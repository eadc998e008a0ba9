import { openOperations } from '../../src/commands/operations.js';
import { createProgram } from '../../src/commands/program.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { execute } from '../../src/process/command-line.js';

export interface CommandRun {
  readonly exitCode: number;
  readonly output: string;
  readonly complaints: string;
  readonly questions: readonly string[];
}

export interface CommandSurroundings {
  /** What a person answers to each question; left out if nobody can be asked. */
  readonly answer?: boolean;
  readonly policyFailureErrorCodes?: readonly string[];
}

export const REQUESTER = 'cli:tester@host';

/** Runs a command in this process as the main program would, on this database. */
export async function runCommand(
  database: DatabaseConnection | null,
  command: string,
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
  const terminal = {
    print: (text: string) => output.push(text),
    complain: (text: string) => complaints.push(text),
    ...(answer !== undefined && { confirm }),
  };
  const open = () => {
    if (database === null) throw new Error('The command opened its database');
    return openOperations(database, { policyFailureErrorCodes });
  };
  const exitCode = await execute(
    (end) => createProgram({ terminal, open, requester: REQUESTER, end }),
    [command, ...args],
    terminal,
  );
  return { exitCode, output: output.join('\n'), complaints: complaints.join('\n'), questions };
}
