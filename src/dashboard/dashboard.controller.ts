import {
  type ArgumentsHost,
  type CanActivate,
  Catch,
  type ExecutionContext,
  ForbiddenException,
  Get,
  Header,
  HttpException,
  HttpStatus,
  Injectable,
  Logger,
  NotFoundException,
  Post,
  Req,
  Res,
  UseFilters,
  UseGuards,
} from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { type Request, type Response, urlencoded } from 'express';
import { promisify } from 'node:util';
import { z } from 'zod';
import { AdminAccess, isFromOwnPage } from '../operations/admin-access.js';
import { AdminSessions } from '../operations/admin-sessions.js';
import { DatabaseProblemFilter } from '../operations/operators-api.decorator.js';
import { bodyProblem } from '../operations/search-body.interceptor.js';
import { headersSetter } from '../operations/security-headers.js';
import { OwnErrorFilter, ServiceController } from '../process/service-controller.js';
import { LIBRARY_MODULES, MODULES, PageAssets } from './page-assets.js';

/**
 * Relative to /dashboard, like every URL of the page: the application or a proxy may have it below a prefix, which only
 * the browser knows for certain.
 */
const ASSETS = 'dashboard/assets';

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
export function mainPage(describesApi: boolean): string {
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
        ${describesApi ? '<a href="api/docs">API</a>' : ''}
        <form method="post" action="dashboard/logout"><button>Sign out</button></form>
      </nav>
    </header>
    <main id="main" tabindex="-1">
      <noscript><p class="problem">This page needs JavaScript. Without it, use the API.</p></noscript>
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
      <form method="post" action="dashboard/login">
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
    '<body class="sign-in"><main><h1>Messages</h1><p><a href="dashboard?">Go on</a></p></main></body>',
  );
}

/** Restricts the page to resources that this service itself serves. */
const setHeaders = headersSetter(
  {
    scriptSrc: ["'self'"],
    styleSrc: ["'self'"],
    imgSrc: ["'self'"],
    connectSrc: ["'self'"],
    formAction: ["'self'"],
  },
  // With no-referrer, browsers also omit the Origin of a form.
  'same-origin',
);

/** Hides the page without keys, and protects it. */
@Injectable()
export class PageGuard implements CanActivate {
  constructor(private readonly access: AdminAccess) {}

  canActivate(context: ExecutionContext): boolean {
    const http = context.switchToHttp();
    const request = http.getRequest<Request>();
    this.access.hideWithoutKeys(request);
    setHeaders(request, http.getResponse<Response>());
    return true;
  }
}

/** Accepts forms of this service's own pages only. */
@Injectable()
export class OwnPageGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    if (isFromOwnPage(context.switchToHttp().getRequest<Request>())) return true;
    throw new ForbiddenException('This form is for the pages of this service only');
  }
}

/** Shows the form again with the problem, except without keys, when there is no form. */
@Catch(HttpException)
export class SignInProblemFilter extends OwnErrorFilter {
  override catch(exception: HttpException, host: ArgumentsHost): void {
    if (exception instanceof NotFoundException) {
      super.catch(exception, host);
      return;
    }
    const response = host.switchToHttp().getResponse<Response>();
    const retryAfterSeconds = Number(response.getHeader('Retry-After') ?? 0);
    const problem = inWords(exception, retryAfterSeconds);
    const page = signInPage(problem).replaceAll(/(href|src|action)="/g, '$1="../');
    response.status(exception.getStatus()).type('html').send(page);
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

/** Reads a form that has one key. */
const readForm = promisify<Request, Response>(
  urlencoded({ extended: false, limit: '4kb', parameterLimit: 10 }),
);

/** The page, seen from its forms' actions. */
const PAGE = '../dashboard';

/**
 * The folder of the page as the browser names it, which a proxy may have given another prefix. Without that, the root,
 * which is right for every prefix.
 */
function cookiePath(request: Request): string {
  const referrer = request.get('Referer') ?? '';
  const [, folder = '/'] =
    /^(\/[^;]*)dashboard(\/log(in|out))?$/.exec(URL.canParse(referrer) ? new URL(referrer).pathname : '') ??
    [];
  return folder;
}

@UseGuards(PageGuard)
@ApiExcludeController()
@ServiceController('dashboard', 'dashboard')
export class DashboardController {
  private readonly logger = new Logger(DashboardController.name);

  constructor(
    private readonly access: AdminAccess,
    private readonly sessions: AdminSessions,
    private readonly assets: PageAssets,
  ) {}

  /** Answers 200 with the sign-in form, too: it is not secret, and no key was wrong. */
  @Get()
  @Header('Content-Type', 'text/html; charset=utf-8')
  async show(@Req() request: Request, @Res() response: Response) {
    // Relative URLs need the address without a slash at its end.
    if (request.path.endsWith('/')) {
      response.redirect(PAGE);
      return undefined;
    }
    // The page itself is not secret. Without the database it says so, as the API does.
    const session = await this.sessions.find(request).catch(() => this.sessions.read(request));
    if (session !== null && session !== 'ended') return mainPage(this.access.describesApi);
    return request.get('Sec-Fetch-Site') === 'cross-site' ? arrivalPage() : signInPage();
  }

  /** Serves the page's files. They contain no secrets, so they need no key. */
  @Get('assets/*path')
  sendAsset(@Req() request: Request, @Res() response: Response): void {
    const { path } = request;
    const asset = this.assets.find(path.slice(path.indexOf(`/${ASSETS}/`) + ASSETS.length + 2));
    if (asset === undefined) throw new NotFoundException(`Cannot ${request.method} ${request.originalUrl}`);
    const isGzipped = request.acceptsEncodings('gzip') !== false;
    if (isGzipped) response.setHeader('Content-Encoding', 'gzip');
    // Express adds the ETag, so that a browser's next request is answered 304.
    response
      .setHeader('Content-Type', asset.type)
      .setHeader('Cache-Control', 'no-cache')
      .setHeader('Vary', 'Accept-Encoding');
    response.send(isGzipped ? asset.gzipped : asset.content);
  }

  @Post('login')
  @UseGuards(OwnPageGuard)
  @UseFilters(SignInProblemFilter)
  async signIn(@Req() request: Request, @Res() response: Response): Promise<void> {
    await readForm(request, response).catch((error: unknown) => {
      throw bodyProblem(error);
    });
    const { data } = form.safeParse(request.body);
    const keyName = await this.access.admitKey(data?.key.trim() ?? '', request, response);
    this.sessions.begin(keyName, cookiePath(request), request, response);
    this.logger.log('A session was begun', { key: keyName, ip: request.ip });
    response.redirect(HttpStatus.SEE_OTHER, PAGE);
  }

  @Post('logout')
  @UseGuards(OwnPageGuard)
  @UseFilters(DatabaseProblemFilter)
  async signOut(@Req() request: Request, @Res() response: Response): Promise<void> {
    await this.sessions.end(cookiePath(request), request, response);
    response.redirect(HttpStatus.SEE_OTHER, PAGE);
  }
}
