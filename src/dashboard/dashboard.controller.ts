import {
  type ArgumentsHost,
  Body,
  type CanActivate,
  Catch,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  ForbiddenException,
  Get,
  Header,
  HttpException,
  HttpStatus,
  Injectable,
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
import { AdminAccess, isFromOwnPage } from '../operations/admin-access.js';
import { AdminSessions } from '../operations/admin-sessions.js';
import { DatabaseProblemFilter } from '../operations/operators-api.decorator.js';
import { arrivalPage, mainPage, signInPage } from './pages.js';

/** Accepts forms of this service's own pages only. */
@Injectable()
export class OwnPageGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    if (isFromOwnPage(context.switchToHttp().getRequest<Request>())) return true;
    throw new ForbiddenException('This form is for the pages of this service only');
  }
}

/** Shows the form again with the problem. */
@Catch(HttpException)
export class SignInProblemFilter implements ExceptionFilter<HttpException> {
  catch(exception: HttpException, host: ArgumentsHost): void {
    const response = host.switchToHttp().getResponse<Response>();
    const retryAfterSeconds = Number(response.getHeader('Retry-After') ?? 0);
    const problem = inWords(exception, retryAfterSeconds);
    response.status(exception.getStatus()).type('html').send(signInPage(problem));
  }
}

function inWords(exception: HttpException, retryAfterSeconds: number): string {
  const known: Readonly<Record<number, string>> = {
    [HttpStatus.UNAUTHORIZED]: 'Wrong key. See ADMIN_API_KEYS in the environment of the service.',
    [HttpStatus.TOO_MANY_REQUESTS]: `Too many wrong keys. A valid key still works at once; otherwise wait ${retryAfterSeconds} seconds.`,
    [HttpStatus.FORBIDDEN]: 'The form was sent from another site. Enter the key here.',
  };
  return known[exception.getStatus()] ?? exception.message;
}

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
