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
import { LIBRARY_MODULES, MODULES } from './page-assets.js';

const ASSETS = '/dashboard/assets';

/** @param head and @param body are trusted markup and are not escaped. */
export function pageFrame(title: string, head: string, body: string): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>${title}</title>
    <link rel="icon" type="image/svg+xml" href="${ASSETS}/icon.svg">
    <link rel="stylesheet" href="${ASSETS}/page.css">
    ${head}
  </head>
  ${body}
</html>
`;
}

export function moduleScript(name: string): string {
  return `<script type="module" src="${ASSETS}/${name}"></script>`;
}

export function classicScript(name: string): string {
  return `<script defer src="${ASSETS}/${name}"></script>`;
}

export function stylesheet(name: string): string {
  return `<link rel="stylesheet" href="${ASSETS}/${name}">`;
}

/** Preloads modules, so that the browser does not discover imports one by one. */
export function modulePreloads(names: readonly string[]): string {
  return names.map((name) => `<link rel="modulepreload" href="${ASSETS}/${name}">`).join('\n    ');
}

/** Renders the empty page; its scripts ask the API for the data. */
export function mainPage(): string {
  return pageFrame(
    'Messages',
    [
      stylesheet('vendor/uPlot.min.css'),
      modulePreloads([...MODULES, ...LIBRARY_MODULES]),
      classicScript('vendor/uPlot.iife.min.js'),
      moduleScript('main.js'),
    ].join('\n    '),
    `<body>
    <a class="skip" href="#main">Skip to the content</a>
    <header>
      <h1>Messages</h1>
      <div id="connection"></div>
      <nav aria-label="Service">
        <a href="/api/docs">API</a>
        <form method="post" action="/dashboard/logout"><button>Sign out</button></form>
      </nav>
    </header>
    <main id="main" tabindex="-1">
      <noscript><p class="problem">This page needs JavaScript. Without it, use the API at /api/v1.</p></noscript>
      <div id="outages"></div>
      <div id="search"></div>
      <div id="journey"></div>
      <div id="overview"></div>
    </main>
    <div id="announcement" class="visually-hidden" role="status"></div>
  </body>`,
  );
}

/**
 * Renders the form that asks for a key.
 * @param problem what was wrong with the previous key. A trusted text that is not escaped.
 */
export function signInPage(problem?: string): string {
  const message = problem === undefined ? '' : `<p class="problem" id="problem" role="alert">${problem}</p>`;
  const described = problem === undefined ? '' : ' aria-invalid="true" aria-describedby="problem"';
  return pageFrame(
    'Sign in · Messages',
    moduleScript('sign-in.js'),
    `<body class="sign-in">
    <main>
      <h1>Messages</h1>
      <p>What happened to each WhatsApp message and its fallback SMS.</p>
      <form method="post" action="/dashboard/login">
        <label for="key">Key</label>
        <input id="key" name="key" type="password" required autocomplete="current-password" autofocus${described}>
        <p class="hint">One of <code>ADMIN_API_KEYS</code>. This browser stays signed in for twelve hours.</p>
        ${message}
        <button class="primary">Sign in</button>
      </form>
    </main>
  </body>`,
  );
}

/**
 * A page for users who follow a link from another site, for which browsers withhold SameSite=Strict cookies. It reloads
 * itself, and then the cookie is sent.
 */
export function arrivalPage(): string {
  return pageFrame(
    'Messages',
    moduleScript('arrival.js'),
    '<body class="sign-in"><main><h1>Messages</h1><p><a href="/dashboard?">Go on</a></p></main></body>',
  );
}

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
