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

/** Applies what all controllers of the API share: access control, error handling and their documentation. */
export function OperatorsApi(tag: string): ClassDecorator {
  return applyDecorators(
    UseGuards(AdminKeyGuard),
    UseInterceptors(RequestLimitInterceptor, DisclosureInterceptor),
    UsePipes(StandardSchemaValidationPipe),
    UseFilters(DatabaseProblemFilter),
    ApiTags(tag),
    ApiBearerAuth(),
    ApiBadRequestResponse({ description: 'A parameter is invalid; the message says which' }),
    ApiUnauthorizedResponse({ description: 'The key is missing or wrong' }),
    ApiTooManyRequestsResponse({ description: 'Too many requests without a valid key; see Retry-After' }),
  );
}
