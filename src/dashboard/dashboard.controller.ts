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

  /** The form for the key is nobody's secret, and no answer to a wrong key: 200. */
  @Get()
  @Header('Content-Type', 'text/html; charset=utf-8')
  show(@Req() request: Request) {
    const session = this.sessions.find(request);
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
  signOut(@Req() request: Request, @Res({ passthrough: true }) response: Response): void {
    this.sessions.end(request, response);
  }
}
