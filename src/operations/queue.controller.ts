import { Controller, Get } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { z } from 'zod';
import { JobQueueInspection } from '../domain-events/job-queue-inspection.js';
import { OperatorsApi } from './operators-api.decorator.js';

const count = z.number().int();

export const queueSchema = z.object({
  waiting: count.describe('jobs whose time has come and that no worker has'),
  overdue: count.describe('those of them that have been waiting for more than two minutes'),
  oldestAgeSeconds: z
    .number()
    .describe('how long the first of them has been waiting, in seconds; 0 without one'),
  exhausted: count.describe(
    'jobs that have used up their attempts; docs/runbook.md#jobsexhausted says what to do with them',
  ),
});

@Controller('api/v1/queue')
@OperatorsApi('Queue')
export class QueueController {
  constructor(private readonly jobQueue: JobQueueInspection) {}

  @Get()
  @ApiOperation({ summary: 'Whether the queue of domain events moves: what waits in it, and for how long' })
  @ApiOkResponse({ standardSchema: queueSchema })
  look(): Promise<z.output<typeof queueSchema>> {
    return this.jobQueue.look();
  }
}
