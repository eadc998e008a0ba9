import type { End, Terminal } from '../process/command-line.js';
import type { Operations } from './operations.js';

/** What the commands run in. */
export interface Surroundings {
  readonly terminal: Terminal;
  readonly open: () => Promise<Operations>;
  /** Who asks, e.g. `cli:alice@host`. */
  readonly requester: string;
  readonly end: End;
}

/** Opens the database for as long as the work takes, and ends with the exit code of the work. */
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
