import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { describeDatabase, type Env, ENV } from '../config/env.js';

/** Logs the configuration at startup, in one line without secrets. */
@Injectable()
export class StartupSummary implements OnApplicationBootstrap {
  private readonly logger = new Logger('Configuration');

  constructor(@Inject(ENV) private readonly env: Env) {}

  onApplicationBootstrap(): void {
    const { env } = this;
    this.logger.log('The service is configured', {
      twilioAccounts: [env.TWILIO_ACCOUNT_SID, ...env.TWILIO_SUBACCOUNTS.map(({ accountSid }) => accountSid)],
      secondaryAuthTokenConfigured: env.TWILIO_AUTH_TOKEN_SECONDARY !== undefined,
      webhookSharedKeysConfigured: env.TWILIO_WEBHOOK_SHARED_KEYS.length,
      twilioApi: env.TWILIO_API_BASE_URL,
      database: describeDatabase(env),
      signaturesCheckedAgainst: env.PUBLIC_BASE_URL ?? 'the origin of each request',
      trustProxy: env.TRUST_PROXY,
      fallbackErrorCodes: env.FALLBACK_ERROR_CODES,
      statusPollAfterMinutes: env.STATUS_POLL_AFTER_MINUTES,
      workerConcurrency: env.WORKER_CONCURRENCY,
      retentionDays: env.RETENTION_DAYS,
      adminApiKeysConfigured: env.ADMIN_API_KEYS.length,
      originalMessages: env.ORIGINAL_MESSAGES,
      smsSender:
        env.TWILIO_MESSAGING_SERVICE_SID ??
        (env.ORIGINAL_MESSAGES === 'twilio' ? 'the default number' : 'the number of the company'),
      defaultNumberConfigured: env.TWILIO_PHONE_NUMBER_REMINDERS !== undefined,
    });
    if (env.DATABASE_URL === undefined) {
      this.logger.warn(
        'The embedded database serves one process only, and nothing copies it: see docs/deploying.md#the-embedded-database.',
      );
    }
    if (env.WORKER_CONCURRENCY === 0) {
      this.logger.log('This process has no worker: SMS are sent by another one on the same database.');
    }
    if (env.PUBLIC_BASE_URL === undefined && env.TRUST_PROXY === false) {
      this.logger.warn(
        'Neither PUBLIC_BASE_URL nor TRUST_PROXY is set: signatures of callbacks through a proxy fail.',
      );
    }
  }
}
