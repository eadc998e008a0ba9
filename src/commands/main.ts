#!/usr/bin/env node
import { hostname, userInfo } from 'node:os';
import { endOnSignals, execute, runProgram } from '../process/command-line.js';
import { createProgram } from './program.js';

endOnSignals();
await runProgram((args, terminal) =>
  execute((end) => createProgram({ terminal, open, requester: requester(), end }), args, terminal),
);

/** Loads the database code only for commands that need it, so that help and usage errors are fast. */
async function open() {
  const { openFromEnvironment } = await import('./environment.js');
  return openFromEnvironment();
}

/** The user who started this process. */
function requester(): string {
  return `cli:${userName()}@${hostname()}`;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run as a user that has no name.
    return `uid-${process.getuid?.() ?? 'unknown'}`;
  }
}
