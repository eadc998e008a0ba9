import { Controller, Get } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { z } from 'zod';
import { ERROR_CODES } from './error-codes.js';
import { OperatorsApi } from './operators-api.decorator.js';

const errorCodeList = z.object({
  items: z.array(
    z.object({ code: z.string(), meaning: z.string().describe('what happened, and what to do about it') }),
  ),
});

@Controller('api/v1/error-codes')
@OperatorsApi('Statistics')
export class ErrorCodesController {
  @Get()
  @ApiOperation({ summary: 'List the error codes that matter for WhatsApp and SMS, with their meanings' })
  @ApiOkResponse({ standardSchema: errorCodeList })
  list(): z.output<typeof errorCodeList> {
    return { items: Object.entries(ERROR_CODES).map(([code, meaning]) => ({ code, meaning })) };
  }
}
