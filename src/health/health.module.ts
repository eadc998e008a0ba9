import { Get, Module, ServiceUnavailableException } from '@nestjs/common';
import { DomainEventDispatcher } from '../domain-events/domain-event-dispatcher.js';
import { ServiceController } from '../process/service-controller.js';
import { CommitCheck, ConfigurableModuleClass } from './commit-check.js';

@ServiceController('health', 'health')
export class HealthController {
  constructor(
    private readonly commits: CommitCheck,
    private readonly dispatcher: DomainEventDispatcher,
  ) {}

  /** Answers 200 while the process is alive. */
  @Get('live')
  live() {
    return { status: 'ok' };
  }

  /** Answers 200 if the service can work, else 503 with what is down and why. */
  @Get('ready')
  async ready() {
    const problem = await this.commits.problem();
    const worker = this.dispatcher.state();
    const checks = { database: problem === null ? 'up' : 'down', worker };
    if (problem === null && worker !== 'down') return { status: 'ok', ...checks };
    const reason = problem ?? 'The worker takes no jobs. It is restarted automatically; the log says why.';
    throw new ServiceUnavailableException({ status: 'error', ...checks, reason });
  }
}

/** Imports the DomainEventsModule whose worker is checked. */
@Module({ controllers: [HealthController], providers: [CommitCheck] })
export class HealthModule extends ConfigurableModuleClass {}
