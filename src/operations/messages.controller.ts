import {
  Body,
  Controller,
  Get,
  HttpCode,
  HttpStatus,
  Param,
  Post,
  Query,
  UseInterceptors,
} from '@nestjs/common';
import { ApiNotFoundResponse, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { eventPage, type EventQuery, eventQuery, EventSearch, eventSearchBody } from './event-search.js';
import { type NumbersQuery, numbersQuery } from './fallback-operations.js';
import { Journeys, journeySchema } from './journeys.js';
import { OperatorsApi } from './operators-api.decorator.js';
import { messageSid } from './page.js';
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
