import { readEnvironment } from './environment.js';
import { simulate } from './simulate-command.js';

process.exitCode = await simulate(process.argv.slice(2), readEnvironment(), (text) => {
  console.log(text);
});
