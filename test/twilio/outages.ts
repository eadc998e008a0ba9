import type { TestingModuleBuilder } from '@nestjs/testing';
import type { z } from 'zod';
import type { queueSchema } from '../../src/operations/queue.controller.js';
import {
  MODULE_OPTIONS_TOKEN as TWILIO_OPTIONS,
  type TwilioModuleOptions,
} from '../../src/twilio/twilio.module-definition.js';
import {
  MODULE_OPTIONS_TOKEN as SERVICE_OPTIONS,
  type WhatsappSmsFallbackOptions,
} from '../../src/whatsapp-sms-fallback.module.js';
import { callApi } from '../operations/api.js';
import type { TestApplication } from '../support/application.js';
import { until } from '../support/until.js';

/** Outages are told of as soon as this. */
export const OUTAGE_AFTER_MILLISECONDS = 1_500;

/** The options of the TwilioModule, with those of the service. */
export function withOutages(
  options: Partial<TwilioModuleOptions> = {},
): (builder: TestingModuleBuilder) => TestingModuleBuilder {
  return (builder) =>
    builder.overrideProvider(TWILIO_OPTIONS).useFactory({
      inject: [SERVICE_OPTIONS],
      factory: ({ accounts, apiBaseUrl }: WhatsappSmsFallbackOptions): TwilioModuleOptions => ({
        ...{ accounts, apiBaseUrl },
        outageAfterMilliseconds: OUTAGE_AFTER_MILLISECONDS,
        intervalMilliseconds: 50,
        askAgainAfterMilliseconds: 500,
        ...options,
      }),
    });
}

type Twilio = z.output<typeof queueSchema>['twilio'];

/** What `GET /api/v1/queue` says about Twilio. */
export async function twilioStatus(application: Pick<TestApplication, 'origin'>): Promise<Twilio> {
  const { body } = await callApi<{ twilio: Twilio }>(application, '/api/v1/queue');
  return body.twilio;
}

export function untilDown(application: Pick<TestApplication, 'origin'>): Promise<Twilio['outages']> {
  return until('an outage to be told of', async () => {
    const { status, outages } = await twilioStatus(application);
    return status === 'down' && outages;
  });
}

export async function untilUp(application: Pick<TestApplication, 'origin'>): Promise<void> {
  await until('the outage to be over', async () => (await twilioStatus(application)).status === 'up');
}

/** The samples of outages in `/metrics`, e.g. `twilio_outage{account="AC1",reason="bad_token"} 1`. */
export async function outageSamples(application: Pick<TestApplication, 'origin'>): Promise<string[]> {
  const { text } = await callApi(application, '/metrics');
  return text.split('\n').filter((line) => line.startsWith('whatsapp_sms_fallback_twilio_outage{'));
}
