import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiNotFoundResponse, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { type NumbersQuery, numbersQuery } from './fallback-query.js';
import { journeySchema } from './journey-schema.js';
import { Journeys } from './journeys.js';
import { OperatorsApi } from './operators-api.decorator.js';
import { messageSid } from './page.js';

@Controller('api/v1/messages')
@OperatorsApi('Messages')
export class MessagesController {
  constructor(private readonly journeys: Journeys) {}

  @Get(':sid')
  @ApiOperation({
    summary: 'Show the journey of a message: its events, its fallback in words, and the other message',
  })
  @ApiOkResponse({ standardSchema: journeySchema })
  @ApiNotFoundResponse({ description: 'There is no such message' })
  show(
    @Param('sid', { schema: messageSid }) sid: string,
    @Query({ schema: numbersQuery }) { numbers }: NumbersQuery,
  ) {
    return this.journeys.find(sid, numbers);
  }
}
