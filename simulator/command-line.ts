import { parseArgs, type ParseArgsConfig } from 'node:util';
import { isNativeError } from 'node:util/types';

/** The command line or the environment asks for something that cannot be done; the message says what. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** As node:util's `parseArgs`. @throws {UsageError} */
export function parseArguments<Config extends ParseArgsConfig>(config: Config) {
  try {
    return parseArgs(config);
  } catch (error) {
    // Node's message goes on about positional arguments after its first sentence.
    throw new UsageError(isNativeError(error) ? error.message.split('. ')[0] : String(error));
  }
}
