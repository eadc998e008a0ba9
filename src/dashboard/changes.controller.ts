import { Controller, Req, Sse, UseFilters, UseGuards } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { Request } from 'express';
import { AdminKeyGuard } from '../operations/admin-access.js';
import { AdminSessions } from '../operations/admin-sessions.js';
import { DatabaseProblemFilter } from '../operations/operators-api.decorator.js';
import { ChangeStreams } from './changes.js';

@Controller('dashboard/events')
@UseGuards(AdminKeyGuard)
@UseFilters(DatabaseProblemFilter)
@ApiExcludeController()
export class ChangesController {
  constructor(
    private readonly streams: ChangeStreams,
    private readonly sessions: AdminSessions,
  ) {}

  /** Signals changes to the page, which then asks the API for the data. */
  @Sse()
  follow(@Req() request: Request) {
    const session = this.sessions.read(request);
    return this.streams.follow(session === 'ended' ? null : session);
  }
}
