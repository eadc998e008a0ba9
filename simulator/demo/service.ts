import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppModule } from '../../src/app.module.js';
import { configureApp } from '../../src/app.setup.js';
import { listen as listenAt } from '../../src/process/express-server.js';
import { demoAccount } from '../demo-account.js';
import type { TwilioSimulator } from '../twilio-simulator.js';
import type { Narrator } from './narrator.js';

export const WEBHOOK_PATH = '/api/webhooks/twilio/message-status';

/** Creates a folder that is removed however the demo ends. Ctrl-C makes Nest close the service and exit. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'whatsapp-sms-fallback-demo-'));
  process.once('exit', () => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

export interface DemoService {
  readonly dataFolder: string;
  readonly twilio: TwilioSimulator;
  readonly narrator: Narrator;
  /** The key for the API and the page. */
  readonly adminKey: string;
}

/** Starts the service on an embedded PostgreSQL, with the fake Twilio as its remote side. */
export async function startService({
  dataFolder,
  twilio,
  narrator,
  adminKey,
}: DemoService): Promise<NestExpressApplication> {
  // The demo is the same everywhere: it ignores a real account in the shell or in .env.
  for (const name of Object.keys(process.env)) {
    if (/^(TWILIO_|DATABASE_|PUBLIC_BASE_URL|TRUST_PROXY|FALLBACK_|ORIGINAL_)/.test(name))
      process.env[name] = '';
  }
  Object.assign(process.env, {
    TWILIO_ACCOUNT_SID: demoAccount.sid,
    TWILIO_AUTH_TOKEN: demoAccount.authToken,
    TWILIO_API_BASE_URL: twilio.baseUrl,
    EMBEDDED_DATA_DIR: dataFolder,
    ADMIN_API_KEYS: adminKey,
  });
  const app = await NestFactory.create<NestExpressApplication>(AppModule, {
    logger: narrator.logger(),
    bodyParser: false,
    abortOnError: false,
  });
  return configureApp(app);
}

/** @returns its origin. */
export async function listen(app: NestExpressApplication, port: number): Promise<string> {
  await listenAt(app, port, '127.0.0.1');
  const address = app.getHttpServer().address() as AddressInfo;
  return `http://localhost:${address.port}`;
}
