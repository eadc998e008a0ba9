import { Get } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { z } from 'zod';
import { JobQueueInspection } from '../domain-events/job-queue-inspection.js';
import { partsOfKey, type SenderPaceView } from '../fallback/sender-pace.js';
import { maskNumber } from '../messages/phone-number.js';
import { OUTAGE_REASONS, outageInWords } from '../twilio/outage-reasons.js';
import { type Outage, TwilioOutages } from '../twilio/twilio-outages.js';
import { FallbackRecords } from './fallback-records.js';
import { SenderPaces } from './fallback-retries.js';
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

/** The page of the API shows the senders with the longest lines. */
const SHOWN_SENDERS = 100;

const senderSchema = z.object({
  accountSid: z.string(),
  from: z.string().nullable().describe('its number, of which the last four digits are shown'),
  messagingServiceSid: z.string().nullable(),
  smsPerSecond: z
    .number()
    .nullable()
    .describe('how many SMS it may send in a second at present; null without a limit'),
  waiting: count.describe('fallbacks that wait for its pace'),
  slowedBy: z
    .string()
    .nullable()
    .describe("Twilio's error code for which it is slowed down; null if it is not"),
  slowedAt: z.date().nullable().describe('when its rate was last halved'),
  notBefore: z.date().nullable().describe('until then it sends nothing, because Twilio asks for that'),
});

export const queueSchema = z.object({
  waiting: count.describe('jobs that are due and that no worker has taken; an estimate from 20,000 on'),
  secondsToDrain: z
    .number()
    .nullable()
    .describe(
      'how long it takes at the rate of the last ten seconds until workers have taken them; 0 without one, null if none was taken',
    ),
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
  pace: z
    .object({
      waiting: count.describe('fallbacks that wait for the pace of their sender'),
      secondsToDrain: z
        .number()
        .describe('how long it takes at the current rates to send them, in seconds; 0 without one'),
      senders: z
        .array(senderSchema)
        .describe('senders with a rate, the longest line first; at most a hundred are listed'),
    })
    .describe('how fast SMS are sent; docs/operating.md#the-pace-of-senders explains it'),
  twilio: z
    .object({
      status: z.enum(['up', 'down']).describe('down: there are outages; up: none is known'),
      outages: z.array(outageSchema),
    })
    .describe('accounts that cannot use Twilio; docs/runbook.md#twiliooutage says what to do'),
});

@OperatorsApi('queue', 'Queue')
export class QueueController {
  constructor(
    private readonly jobQueue: JobQueueInspection,
    private readonly fallbacks: FallbackRecords,
    private readonly outages: TwilioOutages,
    private readonly paces: SenderPaces,
  ) {}

  @Get()
  @ApiOperation({
    summary:
      'Show whether SMS are on their way: what waits in the queue or for its sender, for how long, and outages of Twilio',
  })
  @ApiOkResponse({ standardSchema: queueSchema })
  async look(): Promise<z.output<typeof queueSchema>> {
    const jobs = await this.jobQueue.look();
    const overdueFallbacks = await this.fallbacks.countOverdue();
    const outages = await this.outages.list();
    const { senders, ...pace } = await this.paces.look();
    const status = outages.length === 0 ? 'up' : 'down';
    return {
      ...jobs,
      secondsToDrain: await this.fallbacks.secondsToDrain(jobs.waiting),
      overdueFallbacks,
      pace: { ...pace, senders: senders.slice(0, SHOWN_SENDERS).map(senderView) },
      twilio: { status, outages: outages.map(outageView) },
    };
  }
}

function senderView({ key, rate, waiting, slowedBy, slowedAt, notBefore }: SenderPaceView) {
  const { accountSid, sender } = partsOfKey(key);
  const isNumber = sender.startsWith('+');
  return {
    accountSid,
    from: isNumber ? maskNumber(sender) : null,
    messagingServiceSid: isNumber ? null : sender,
    smsPerSecond: rate,
    waiting,
    slowedBy,
    slowedAt,
    notBefore,
  };
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
