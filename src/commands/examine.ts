import { type Env, envSchema } from '../config/env.js';
import { EnvironmentError, parseEnv } from '../config/parse-env.js';
import { mostConnections } from '../database/data-source-options.js';
import type { DatabaseConnection } from '../database/database-connection.js';
import { checkDatabase } from './check-database.js';
import { checkSenders } from './check-senders.js';
import { checkTwilio } from './check-twilio.js';
import { checkWebhook } from './check-webhook.js';
import { type Finding, ill, well } from './finding.js';

const WEBHOOK_PATH = '/api/webhooks/twilio/message-status';

/** What the doctor examines. */
export interface Patient {
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly openDatabase: (env: Env) => Promise<DatabaseConnection>;
}

/** Runs the doctor's checks in order and yields each finding as soon as it is known. */
export async function* examine({ variables, openDatabase }: Patient): AsyncGenerator<Finding> {
  let env: Env;
  try {
    env = parseEnv(variables, envSchema);
  } catch (error) {
    if (!(error instanceof EnvironmentError)) throw error;
    // Each line between the heading and the advice names one problem.
    for (const problem of error.message.split('\n').slice(1, -1)) {
      yield ill('environment', problem.trim(), 'Each variable is explained in .env.example');
    }
    return;
  }
  yield well('environment', 'it is complete');
  yield* checkDatabase(
    () => openDatabase(env),
    mostConnections(env),
    (dataSource) => checkSenders(dataSource, env),
  );
  const callbackUrl = env.PUBLIC_BASE_URL === undefined ? undefined : env.PUBLIC_BASE_URL + WEBHOOK_PATH;
  yield* checkTwilio(env, callbackUrl);
  yield* checkWebhook(env, callbackUrl);
}
