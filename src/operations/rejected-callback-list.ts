import { Injectable } from '@nestjs/common';
import { DataSource, LessThan } from 'typeorm';
import { RejectedCallback } from '../webhooks/rejected-callback.entity.js';
import { toPage } from './page.js';
import { rejectedCallbackView, type RejectedCallbacksQuery } from './rejected-callback-view.js';

@Injectable()
export class RejectedCallbackList {
  constructor(private readonly dataSource: DataSource) {}

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
