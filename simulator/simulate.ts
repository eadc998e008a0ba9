import { runProgram } from './command-line.js';
import { readEnvironment } from './environment.js';
import { simulate } from './simulate-command.js';
import { usage } from './simulate-options.js';

await runProgram({ usage, run: (args, output) => simulate(args, readEnvironment(), output) });
