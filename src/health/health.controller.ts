import { Controller, Get, ServiceUnavailableException } from '@nestjs/common';
import { DomainEventDispatcher } from '../domain-events/domain-event-dispatcher.js';
import { CommitCheck } from './commit-check.js';

@Controller('health')
export class HealthController {
  constructor(
    private readonly commits: CommitCheck,
    private readonly dispatcher: DomainEventDispatcher,
  ) {}

  /** Whether the process answers at all. */
  @Get('live')
  live() {
    return { status: 'ok' };
  }

  /** Whether it can do its work: 200, or 503 with what is down, and why. */
  @Get('ready')
  async ready() {
    const problem = await this.commits.problem();
    const worker = this.dispatcher.state();
    const checks = { database: problem === null ? 'up' : 'down', worker };
    if (problem === null && worker !== 'down') return { status: 'ok', ...checks };
    const reason =
      problem ?? 'The worker takes no jobs. It is started again until it does; the log says why.';
    throw new ServiceUnavailableException({ status: 'error', ...checks, reason });
  }
}
