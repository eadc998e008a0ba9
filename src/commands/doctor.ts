import { Logger } from '@nestjs/common';
import { loadEnvFile } from '../config/load-env-file.js';
import { exitWithError } from '../process/startup-error.js';
import { runDoctor } from './doctor-command.js';
import { openServicesDatabase, terminal } from './run-command.js';

Logger.overrideLogger(false);
try {
  loadEnvFile();
  const patient = { variables: process.env, openDatabase: openServicesDatabase };
  process.exitCode = await runDoctor(process.argv.slice(2), patient, terminal());
} catch (error) {
  exitWithError(error);
}
