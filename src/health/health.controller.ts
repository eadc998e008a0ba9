import { Controller, Get, ServiceUnavailableException } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { DomainEventDispatcher } from '../domain-events/domain-event-dispatcher.js';

@Controller('health')
export class HealthController {
  constructor(
    private readonly dataSource: DataSource,
    private readonly dispatcher: DomainEventDispatcher,
  ) {}

  /** Whether the process answers at all. */
  @Get('live')
  live() {
    return { status: 'ok' };
  }

  /** Whether it can do its work: 200, or 503 with what is down. */
  @Get('ready')
  async ready() {
    const checks = {
      database: (await this.isDatabaseUp()) ? 'up' : 'down',
      worker: this.dispatcher.state(),
    };
    if (Object.values(checks).includes('down'))
      throw new ServiceUnavailableException({ status: 'error', ...checks });
    return { status: 'ok', ...checks };
  }

  private isDatabaseUp(): Promise<boolean> {
    return this.dataSource.query('select 1').then(
      () => true,
      () => false,
    );
  }
}
