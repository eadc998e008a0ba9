import {
  type CanActivate,
  type ExecutionContext,
  ForbiddenException,
  HttpException,
  HttpStatus,
  Inject,
  Injectable,
  InternalServerErrorException,
  Logger,
} from '@nestjs/common';
import type { Response } from 'express';
import twilio from 'twilio';
import { measured } from '../measurements/measurements.js';
import { Refusals } from '../refusals/refusals.js';
import { TwilioAccounts } from '../twilio/twilio-accounts.js';
import { bodyForm, readBody } from './callback-body.js';
import { type BodyForm, readParameters } from './callback-parameters.js';
import type { CallbackRequest, SignedCallback } from './callback-request.js';
import { MODULE_OPTIONS_TOKEN, type WebhooksModuleOptions } from './webhooks.module-definition.js';

/** Lets in what Twilio signed for one of the configured accounts, and nothing else. */
@Injectable()
export class TwilioSignatureGuard implements CanActivate {
  /** Each line is given its context: to add a logger's own takes Nest a fifth of the time of all that a line takes. */
  private readonly logger = new Logger();

  constructor(
    private readonly accounts: TwilioAccounts,
    private readonly refusals: Refusals,
    @Inject(MODULE_OPTIONS_TOKEN) private readonly options: WebhooksModuleOptions,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const http = context.switchToHttp();
    const request = http.getRequest<CallbackRequest>();
    // It stands before the controller and before the route, too.
    if (request.signedCallback !== undefined) return true;
    const response = http.getResponse<Response>();
    const form = bodyForm(request);
    request.rawBody ??= await readBody(request, response);
    const callback = this.read(request, form);
    // Verified before anything else: an address that sends forgeries may be the proxy that Twilio comes through too.
    const fault = this.findFault(request, form, callback);
    if (fault !== null) return this.refuse(fault, callback, request, response);
    request.signedCallback = callback;
    this.logger.log('📞 [WEBHOOK] Received Twilio message status webhook', TwilioSignatureGuard.name);
    this.logger.log('✅ [WEBHOOK] Twilio signature validated', TwilioSignatureGuard.name);
    return true;
  }

  private read(request: CallbackRequest, form: BodyForm): SignedCallback {
    if (request.rawBody === undefined) {
      throw new InternalServerErrorException(
        'The body was parsed before its bytes were kept: create the Nest application with rawBody: true',
      );
    }
    const body = request.rawBody.toString('utf8');
    return { parameters: readParameters(body, form), body, url: this.publicUrl(request) };
  }

  private publicUrl(request: CallbackRequest): string {
    const origin = this.options.publicBaseUrl ?? `${request.protocol}://${request.host}`;
    return origin + request.originalUrl;
  }

  /** @returns what is wrong with the request, or null for one that Twilio signed. */
  private findFault(
    request: CallbackRequest,
    form: BodyForm,
    { parameters, body, url }: SignedCallback,
  ): string | null {
    const signature = request.headers['x-twilio-signature'];
    if (typeof signature !== 'string') return 'there is no X-Twilio-Signature header';
    const accountSid = parameters.AccountSid;
    const tokens = typeof accountSid === 'string' ? this.accounts.authTokens(accountSid) : [];
    if (tokens.length === 0) return 'its AccountSid is not one of the configured accounts';
    const isValid = (token: string) =>
      form === 'json'
        ? twilio.validateRequestWithBody(token, signature, url, body)
        : twilio.validateRequest(token, signature, url, parameters);
    try {
      return tokens.some(isValid) ? null : 'its signature does not match: compare the URL and the auth token';
    } catch {
      // The library throws for a URL that is none, e.g. with a malformed Host header.
      return 'its URL is malformed';
    }
  }

  private async refuse(
    fault: string,
    { url }: SignedCallback,
    request: CallbackRequest,
    response: Response,
  ): Promise<never> {
    measured('callback.answered', { channel: null, status: null, result: 'refused' });
    const retryAfterSeconds = await this.refusals.count(request.ip ?? '');
    if (retryAfterSeconds !== null) {
      response.setHeader('Retry-After', retryAfterSeconds);
      throw new HttpException('Too many requests without a valid signature', HttpStatus.TOO_MANY_REQUESTS);
    }
    this.logger.log('📞 [WEBHOOK] Received Twilio message status webhook', TwilioSignatureGuard.name);
    this.logger.warn(
      '⛔ [WEBHOOK] Request refused',
      { reason: fault, checkedUrl: url.split('?', 1)[0], ip: request.ip },
      TwilioSignatureGuard.name,
    );
    // Which of them it was is for the log: a stranger shall not learn which accounts are configured.
    throw new ForbiddenException('The request is not signed by a configured Twilio account');
  }
}
