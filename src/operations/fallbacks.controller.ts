import { Controller, Get, HttpCode, HttpStatus, Param, Post, Query, Req } from '@nestjs/common';
import { ApiAcceptedResponse, ApiNotFoundResponse, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import type { AdminRequest } from './admin-access.js';
import {
  fallbackName,
  FallbackOperations,
  type FallbackQuery,
  fallbackQuery,
  type NumbersQuery,
  numbersQuery,
  type RetryQuery,
  retryQuery,
} from './fallback-operations.js';
import { fallbackDetailsSchema, fallbackPage, retrySchema } from './fallback-schema.js';
import { OperatorsApi } from './operators-api.decorator.js';

@Controller('api/v1/fallbacks')
@OperatorsApi('Fallbacks')
export class FallbacksController {
  constructor(private readonly fallbacks: FallbackOperations) {}

  @Get()
  @ApiOperation({ summary: 'List SMS fallbacks' })
  @ApiOkResponse({ standardSchema: fallbackPage })
  list(@Query({ schema: fallbackQuery }) query: FallbackQuery) {
    return this.fallbacks.list(query);
  }

  @Get(':id')
  @ApiOperation({ summary: 'Show a fallback with the events of its original message and its SMS' })
  @ApiOkResponse({ standardSchema: fallbackDetailsSchema })
  @ApiNotFoundResponse({ description: 'There is no such fallback' })
  show(
    @Param('id', { schema: fallbackName }) name: string,
    @Query({ schema: numbersQuery }) { numbers }: NumbersQuery,
  ) {
    return this.fallbacks.show(name, numbers);
  }

  @Post(':id/retry')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiOperation({
    summary:
      'Retry a failed or skipped fallback. It never leads to a second SMS; the answer says what is done',
  })
  @ApiAcceptedResponse({ standardSchema: retrySchema })
  @ApiNotFoundResponse({ description: 'There is no such fallback' })
  retry(
    @Param('id', { schema: fallbackName }) name: string,
    @Query({ schema: retryQuery }) { ignoreAge }: RetryQuery,
    @Req() { adminKeyName: keyName = 'unknown' }: AdminRequest,
  ) {
    return this.fallbacks.retry(name, { ignoreAge, keyName });
  }
}
