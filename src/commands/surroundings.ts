import type { End, Terminal } from '../process/command-line.js';
import type { Operations } from './operations.js';

/** The context that commands run in. */
export interface Surroundings {
  readonly terminal: Terminal;
  readonly open: () => Promise<Operations>;
  /** The requester, e.g. `cli:alice@host`. */
  readonly requester: string;
  readonly end: End;
}

/** Opens the database for some work and exits with its exit code. */
export async function withOperations(
  { open, end }: Surroundings,
  work: (operations: Operations) => Promise<number>,
): Promise<void> {
  const operations = await open();
  try {
    end(await work(operations));
  } finally {
    await operations.close();
  }
}
