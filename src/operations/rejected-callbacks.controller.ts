import { Get, Injectable, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { DataSource, LessThan } from 'typeorm';
import { z } from 'zod';
import { maskDeep } from '../messages/phone-number.js';
import { InjectDatabase } from '../process/inject-database.js';
import { RejectedCallback } from '../webhooks/rejected-callback.entity.js';
import { OperatorsApi } from './operators-api.decorator.js';
import { cursorOf, limit, numbers, pageOf, parameters, toPage } from './page.js';

const position = z.object({ id: z.string().regex(/^\d{1,18}$/) });

export const rejectedCallbacksQuery = parameters({ limit, cursor: cursorOf(position), numbers });

export type RejectedCallbacksQuery = z.output<typeof rejectedCallbacksQuery>;

export const rejectedCallback = z.object({
  id: z.string(),
  reason: z.string(),
  payload: z.record(z.string(), z.unknown()).describe('every parameter as received'),
  createdAt: z.date(),
});

export const rejectedCallbackPage = pageOf(rejectedCallback);

export function rejectedCallbackView(
  { id, reason, payload, createdAt }: RejectedCallback,
  showNumbers: boolean,
): z.output<typeof rejectedCallback> {
  return { id, reason, payload: showNumbers ? payload : maskDeep(payload), createdAt };
}

@Injectable()
export class RejectedCallbackList {
  constructor(@InjectDatabase() private readonly dataSource: DataSource) {}

  /** Lists rejected callbacks by the primary key, which grows with time. */
  async list({ limit, cursor, numbers }: RejectedCallbacksQuery) {
    const rows = await this.dataSource.manager.find(RejectedCallback, {
      where: cursor === undefined ? {} : { id: LessThan(cursor.id) },
      order: { id: 'desc' },
      take: limit + 1,
    });
    return toPage(
      rows,
      limit,
      (row) => rejectedCallbackView(row, numbers),
      ({ id }) => ({ id }),
    );
  }
}

@OperatorsApi('rejected-callbacks', 'Callbacks')
export class RejectedCallbacksController {
  constructor(private readonly rejectedCallbacks: RejectedCallbackList) {}

  @Get()
  @ApiOperation({ summary: 'List callbacks with a valid signature that cannot be an event, newest first' })
  @ApiOkResponse({ standardSchema: rejectedCallbackPage })
  list(@Query({ schema: rejectedCallbacksQuery }) query: RejectedCallbacksQuery) {
    return this.rejectedCallbacks.list(query);
  }
}
