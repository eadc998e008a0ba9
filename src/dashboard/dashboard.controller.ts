import {
  Body,
  Controller,
  Get,
  Header,
  HttpStatus,
  Logger,
  Post,
  Redirect,
  Req,
  Res,
  UseFilters,
  UseGuards,
} from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { z } from 'zod';
import { AdminAccess } from '../operations/admin-access.js';
import { AdminSessions } from '../operations/admin-sessions.js';
import { DatabaseProblemFilter } from '../operations/database-problem.filter.js';
import { mainPage } from './main-page.js';
import { OwnPageGuard } from './own-page.guard.js';
import { SignInProblemFilter } from './sign-in-problem.filter.js';
import { arrivalPage, signInPage } from './sign-in-page.js';

const form = z.object({ key: z.string() });

@Controller('dashboard')
@ApiExcludeController()
export class DashboardController {
  private readonly logger = new Logger(DashboardController.name);

  constructor(
    private readonly access: AdminAccess,
    private readonly sessions: AdminSessions,
  ) {}

  /** Answers 200 with the sign-in form, too: it is not secret, and no key was wrong. */
  @Get()
  @Header('Content-Type', 'text/html; charset=utf-8')
  async show(@Req() request: Request) {
    // The page itself is not secret. Without the database it says so, as the API does.
    const session = await this.sessions.find(request).catch(() => this.sessions.read(request));
    if (session !== null && session !== 'ended') return mainPage();
    return request.get('Sec-Fetch-Site') === 'cross-site' ? arrivalPage() : signInPage();
  }

  @Post('login')
  @Redirect('/dashboard', HttpStatus.SEE_OTHER)
  @UseGuards(OwnPageGuard)
  @UseFilters(SignInProblemFilter)
  async signIn(
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
    @Body() body: unknown,
  ): Promise<void> {
    const { data } = form.safeParse(body);
    const keyName = await this.access.admitKey(data?.key.trim() ?? '', request, response);
    this.sessions.begin(keyName, request, response);
    this.logger.log('A session was begun', { key: keyName, ip: request.ip });
  }

  @Post('logout')
  @Redirect('/dashboard', HttpStatus.SEE_OTHER)
  @UseGuards(OwnPageGuard)
  @UseFilters(DatabaseProblemFilter)
  async signOut(@Req() request: Request, @Res({ passthrough: true }) response: Response): Promise<void> {
    await this.sessions.end(request, response);
  }
}
