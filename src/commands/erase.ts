import { eraseCommand } from './erase-command.js';
import { runCommand } from './run-command.js';

await runCommand(eraseCommand);
