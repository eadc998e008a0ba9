import {
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleInit,
  type Type,
} from '@nestjs/common';
import { type AbstractHttpAdapter, ApplicationConfig, HttpAdapterHost } from '@nestjs/core';
import type { RequestHandler, Response } from 'express';
import { Readable } from 'node:stream';
import { StartupError } from '../process/startup-error.js';
import type { CallbackRequest } from './callback-request.js';

export const HOST_OPTIONS = Symbol('HOST_OPTIONS');

export interface HostOptions {
  /** The webhook's controller. */
  readonly controller: Type;
  /** Whether the application says how its global guards let the webhook's requests pass. */
  readonly hasDecorators: boolean;
}

/** The names of Express's body parsers. */
const PARSERS: ReadonlySet<string> = new Set(['jsonParser', 'urlencodedParser', 'rawParser', 'textParser']);

/** The content types of callbacks, each with a body. */
const BODIES = { 'application/x-www-form-urlencoded': 'a=1', 'application/json': '{}' };

/** Looks at startup for what would fail with the first callback, and says what to change. */
@Injectable()
export class HostApplication implements OnModuleInit, OnApplicationBootstrap {
  private readonly logger = new Logger('Webhook');

  constructor(
    private readonly host: HttpAdapterHost,
    private readonly config: ApplicationConfig,
    @Inject(HOST_OPTIONS) private readonly options: HostOptions,
  ) {}

  /** @throws StartupError on another platform than Express. */
  onModuleInit(): void {
    const platform = this.platform();
    if (platform === undefined || platform === 'express') return;
    throw new StartupError(
      `whatsapp-sms-fallback needs @nestjs/platform-express, and this application runs on ${platform}. Run it as an application of its own, or create this one with NestExpressApplication.`,
    );
  }

  /** @throws StartupError if a body parser takes the bytes of callbacks, which the signature covers. */
  async onApplicationBootstrap(): Promise<void> {
    if (this.platform() === undefined) return;
    this.warnOfGuards();
    for (const [type, body] of Object.entries(BODIES)) {
      const parser = await this.findLossyParser(type, body);
      if (parser === undefined) continue;
      throw new StartupError(
        `The application's body parser (${parser}) does not keep the bytes of Twilio's callbacks, which their signature covers. Create the application with rawBody: true, e.g. NestFactory.create(AppModule, { rawBody: true }), or with bodyParser: false. A parser of your own, e.g. of app.useBodyParser(), needs rawBody: true too.`,
      );
    }
  }

  /** Returns undefined in an application context, which has no HTTP server. */
  private platform(): string | undefined {
    const adapter = this.host.httpAdapter as AbstractHttpAdapter | null | undefined;
    // A testing module that is not made an application has one that does nothing.
    return adapter?.getType() === '' ? undefined : adapter?.getType();
  }

  /**
   * Passes a request through each body parser before the routes, as Express would: whether a parser keeps the bytes is
   * known only to its own function.
   */
  private async findLossyParser(type: string, body: string): Promise<string | undefined> {
    const request = trialRequest(type, body);
    for (const { name, slash, handle } of this.layers()) {
      if (slash !== true || !PARSERS.has(name)) continue;
      await new Promise<void>((resolve) => {
        void handle(request, {} as Response, () => {
          resolve();
        });
      });
      if (request.rawBody === undefined && request.readableDidRead) return name;
    }
    return undefined;
  }

  private layers(): readonly Layer[] {
    return this.host.httpAdapter.getInstance<{ readonly router: { readonly stack: Layer[] } }>().router.stack;
  }

  private warnOfGuards(): void {
    const guards = [
      ...this.config.getGlobalGuards().map((guard) => guard.constructor.name),
      ...this.config.getGlobalRequestGuards().map(({ name }) => String(name)),
    ];
    if (guards.length === 0 || this.options.hasDecorators) return;
    this.logger.warn(
      'Global guards run before the webhook. If one refuses requests without a user, Twilio gets its refusal and no callback is stored. Pass what lets a request pass as the option decorators of the webhook, e.g. [Public()], or [] if they refuse none.',
      { guards },
    );
  }
}

/** A part of Express's router. */
interface Layer {
  readonly name: string;
  /** Whether it is for every path. */
  readonly slash?: boolean;
  readonly handle: RequestHandler;
}

function trialRequest(type: string, body: string): CallbackRequest {
  const headers = { 'content-type': type, 'content-length': String(body.length) };
  return Object.assign(Readable.from([Buffer.from(body)]), {
    method: 'POST',
    headers,
  }) as unknown as CallbackRequest;
}
