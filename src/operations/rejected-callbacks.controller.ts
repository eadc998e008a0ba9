import { Controller, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { OperatorsApi } from './operators-api.decorator.js';
import {
  rejectedCallbackPage,
  rejectedCallbacksQuery,
  type RejectedCallbacksQuery,
} from './rejected-callback-view.js';
import { RejectedCallbackList } from './rejected-callback-list.js';

@Controller('api/v1/rejected-callbacks')
@OperatorsApi('Callbacks')
export class RejectedCallbacksController {
  constructor(private readonly rejectedCallbacks: RejectedCallbackList) {}

  @Get()
  @ApiOperation({ summary: 'List callbacks with a valid signature that cannot be an event, newest first' })
  @ApiOkResponse({ standardSchema: rejectedCallbackPage })
  list(@Query({ schema: rejectedCallbacksQuery }) query: RejectedCallbacksQuery) {
    return this.rejectedCallbacks.list(query);
  }
}
