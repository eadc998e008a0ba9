import { Module } from '@nestjs/common';
import { type Env, ENV, EnvModule } from './config/env.js';
import { StartupSummary } from './process/startup-summary.js';
import type { TwilioAccount } from './twilio/twilio.module-definition.js';
import {
  WhatsappSmsFallbackModule,
  type WhatsappSmsFallbackOptions,
} from './whatsapp-sms-fallback.module.js';

/** The service by itself: the only place that turns the environment into options. */
@Module({
  imports: [
    EnvModule,
    WhatsappSmsFallbackModule.forRootAsync({ imports: [EnvModule], inject: [ENV], useFactory: optionsOf }),
  ],
  providers: [StartupSummary],
})
export class AppModule {}

export function optionsOf(env: Env): WhatsappSmsFallbackOptions {
  return {
    databaseUrl: env.DATABASE_URL,
    schema: env.DATABASE_SCHEMA,
    embeddedDataDir: env.EMBEDDED_DATA_DIR,
    applicationTables: env.ORIGINAL_MESSAGES === 'tables',
    accounts: twilioAccounts(env),
    webhookSharedKeys: env.TWILIO_WEBHOOK_SHARED_KEYS,
    apiBaseUrl: env.TWILIO_API_BASE_URL,
    publicBaseUrl: env.PUBLIC_BASE_URL,
    policyFailureErrorCodes: env.FALLBACK_ERROR_CODES,
    defaultFrom: env.TWILIO_PHONE_NUMBER_REMINDERS,
    messagingService:
      env.TWILIO_MESSAGING_SERVICE_SID === undefined
        ? undefined
        : { accountSid: env.TWILIO_ACCOUNT_SID, sid: env.TWILIO_MESSAGING_SERVICE_SID },
    maximumAgeMilliseconds: env.FALLBACK_MAX_AGE_MINUTES * 60_000,
    holdMilliseconds: env.FALLBACK_HOLD_SECONDS * 1_000,
    duplicateWindowMilliseconds: env.FALLBACK_DUPLICATE_WINDOW_SECONDS * 1_000,
    originalText: env.ORIGINAL_TEXT,
    smsPerSecond: env.SMS_PER_SECOND,
    concurrency: env.WORKER_CONCURRENCY,
    statusPollAfterMilliseconds: env.STATUS_POLL_AFTER_MINUTES * 60_000,
    adminApiKeys: env.ADMIN_API_KEYS,
    retentionDays: env.RETENTION_DAYS,
  };
}

function twilioAccounts(env: Env): TwilioAccount[] {
  const secondary = env.TWILIO_AUTH_TOKEN_SECONDARY;
  return [
    {
      accountSid: env.TWILIO_ACCOUNT_SID,
      authTokens: [env.TWILIO_AUTH_TOKEN, ...(secondary === undefined ? [] : [secondary])],
    },
    ...env.TWILIO_SUBACCOUNTS.map(({ accountSid, authToken }): TwilioAccount => ({
      accountSid,
      authTokens: [authToken],
    })),
  ];
}
