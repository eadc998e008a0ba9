#!/usr/bin/env node
import { hostname, userInfo } from 'node:os';
import { endOnSignals, execute, runProgram } from '../process/command-line.js';
import { createProgram } from './program.js';

endOnSignals();
await runProgram((args, terminal) =>
  execute((end) => createProgram({ terminal, open, requester: requester(), end }), args, terminal),
);

/** Only a command that needs the database loads what works on it: help and mistakes are answered at once. */
async function open() {
  const { openFromEnvironment } = await import('./environment.js');
  return openFromEnvironment();
}

/** Who has started this process. */
function requester(): string {
  return `cli:${userName()}@${hostname()}`;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run as a user without a name.
    return `uid-${process.getuid?.() ?? 'unknown'}`;
  }
}
