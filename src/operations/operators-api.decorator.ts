import {
  applyDecorators,
  StandardSchemaValidationPipe,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
} from '@nestjs/common';
import {
  ApiBadRequestResponse,
  ApiBearerAuth,
  ApiTags,
  ApiTooManyRequestsResponse,
  ApiUnauthorizedResponse,
} from '@nestjs/swagger';
import { AdminKeyGuard } from './admin-key.guard.js';
import { DatabaseProblemFilter } from './database-problem.filter.js';
import { DisclosureInterceptor } from './disclosure.interceptor.js';
import { RequestLimitInterceptor } from './request-limit.interceptor.js';

/** What all controllers of the API have in common: who may call them, and how they answer what is wrong. */
export function OperatorsApi(tag: string): ClassDecorator {
  return applyDecorators(
    UseGuards(AdminKeyGuard),
    UseInterceptors(RequestLimitInterceptor, DisclosureInterceptor),
    UsePipes(StandardSchemaValidationPipe),
    UseFilters(DatabaseProblemFilter),
    ApiTags(tag),
    ApiBearerAuth(),
    ApiBadRequestResponse({ description: 'A parameter is not what it must be; the message says which' }),
    ApiUnauthorizedResponse({ description: 'There is no key, or a wrong one' }),
    ApiTooManyRequestsResponse({ description: 'Too many requests without a valid key; see Retry-After' }),
  );
}
