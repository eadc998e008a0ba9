import { Body, Controller, Get, HttpCode, HttpStatus, Post, Query, UseInterceptors } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { type EventQuery, eventQuery, eventSearchBody } from './event-query.js';
import { EventSearch } from './event-search.js';
import { eventPage } from './event-view.js';
import { OperatorsApi } from './operators-api.decorator.js';
import { SearchBodyInterceptor } from './search-body.interceptor.js';

@Controller('api/v1/message-events')
@OperatorsApi('Messages')
// Listed below OperatorsApi, so that it runs first: a slow body must not hold one of the few concurrency slots.
@UseInterceptors(SearchBodyInterceptor)
export class MessageEventsController {
  constructor(private readonly events: EventSearch) {}

  @Get()
  @ApiOperation({ summary: 'List the statuses that Twilio reported, newest first' })
  @ApiOkResponse({ standardSchema: eventPage })
  list(@Query({ schema: eventQuery }) query: EventQuery) {
    return this.events.list(query);
  }

  @Post('search')
  @HttpCode(HttpStatus.OK)
  @ApiOperation({
    summary: 'Search statuses with the query in the body, which keeps numbers out of proxy logs',
  })
  @ApiOkResponse({ standardSchema: eventPage })
  search(@Body({ schema: eventSearchBody }) query: EventQuery) {
    return this.events.list(query);
  }
}
