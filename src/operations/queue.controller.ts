import { Controller, Get } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { z } from 'zod';
import { JobQueueInspection } from '../domain-events/job-queue-inspection.js';
import { OUTAGE_REASONS, outageInWords } from '../twilio/outage-reasons.js';
import { type Outage, TwilioOutages } from '../twilio/twilio-outages.js';
import { FallbackRecords } from './fallback-records.js';
import { OperatorsApi } from './operators-api.decorator.js';

const count = z.number().int();

const outageSchema = z.object({
  accountSid: z.string(),
  reason: z.enum(OUTAGE_REASONS),
  meaning: z.string().describe('the reason in words'),
  remedy: z.string().describe('what to do'),
  errorCode: z
    .string()
    .describe(
      "of the latest request: Twilio's error code, the HTTP status, or the name of the network's error",
    ),
  operations: z
    .array(z.enum(['send', 'read', 'templates']))
    .describe('what fails: sending SMS, reading statuses and original texts, reading templates'),
  since: z.date().describe('when the first request failed'),
  waiting: count.describe('fallbacks of the account whose SMS is due'),
});

export const queueSchema = z.object({
  waiting: count.describe('jobs that are due and that no worker has taken'),
  overdue: count.describe('those of them that have been waiting for more than two minutes'),
  oldestAgeSeconds: z
    .number()
    .describe('how long the first of them has been waiting, in seconds; 0 without one'),
  exhausted: count.describe(
    'jobs that have used up their attempts; docs/runbook.md#jobsexhausted says what to do with them',
  ),
  overdueFallbacks: count.describe(
    'open fallbacks whose SMS has been due for more than 15 minutes, however often it was tried',
  ),
  twilio: z
    .object({
      status: z.enum(['up', 'down']).describe('down: there are outages; up: none is known'),
      outages: z.array(outageSchema),
    })
    .describe('accounts that cannot use Twilio; docs/runbook.md#twiliooutage says what to do'),
});

@Controller('api/v1/queue')
@OperatorsApi('Queue')
export class QueueController {
  constructor(
    private readonly jobQueue: JobQueueInspection,
    private readonly fallbacks: FallbackRecords,
    private readonly outages: TwilioOutages,
  ) {}

  @Get()
  @ApiOperation({
    summary:
      'Show whether SMS are on their way: what waits in the queue, for how long, and outages of Twilio',
  })
  @ApiOkResponse({ standardSchema: queueSchema })
  async look(): Promise<z.output<typeof queueSchema>> {
    const jobs = await this.jobQueue.look();
    const overdueFallbacks = await this.fallbacks.countOverdue();
    const outages = await this.outages.list();
    const status = outages.length === 0 ? 'up' : 'down';
    return { ...jobs, overdueFallbacks, twilio: { status, outages: outages.map(outageView) } };
  }
}

function outageView({ accountSid, reason, errorCode, operations, since, waiting }: Outage) {
  return {
    accountSid,
    reason,
    ...outageInWords(reason),
    errorCode,
    operations: [...operations],
    since,
    waiting,
  };
}
