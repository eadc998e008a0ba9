import { Controller, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { OperatorsApi } from './operators-api.decorator.js';
import { type StatisticsQuery, statisticsQuery, statisticsSchema } from './statistics-query.js';
import { StatisticsStore } from './statistics.store.js';

@Controller('api/v1/stats')
@OperatorsApi('Statistics')
export class StatisticsController {
  constructor(private readonly statistics: StatisticsStore) {}

  @Get()
  @ApiOperation({ summary: 'Count the events and fallbacks in a time range, with their outcomes' })
  @ApiOkResponse({ standardSchema: statisticsSchema })
  find(@Query({ schema: statisticsQuery }) query: StatisticsQuery) {
    return this.statistics.find(query);
  }
}
