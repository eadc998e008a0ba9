import { fallbacksCommand } from './fallbacks-command.js';
import { runCommand } from './run-command.js';

await runCommand(fallbacksCommand);
