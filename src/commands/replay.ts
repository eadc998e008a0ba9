import { replayCommand } from './replay-command.js';
import { runCommand } from './run-command.js';

await runCommand(replayCommand);
