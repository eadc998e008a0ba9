import { Controller, Get, Header, UseGuards } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { prometheusContentType } from 'prom-client';
import { AdminKeyGuard } from './admin-key.guard.js';
import { Metrics } from './metrics.js';

@Controller('metrics')
@UseGuards(AdminKeyGuard)
@ApiExcludeController()
export class MetricsController {
  constructor(private readonly metrics: Metrics) {}

  /** Serves Prometheus, which sends the key as `authorization` of its scrape config. */
  @Get()
  @Header('Content-Type', prometheusContentType)
  expose() {
    return this.metrics.expose();
  }
}
