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
  SetMetadata,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Response } from 'express';
import twilio from 'twilio';
import { measured } from '../measurements/measurements.js';
import { Refusals } from '../refusals/refusals.js';
import { TwilioAccounts } from '../twilio/twilio-accounts.js';
import { bodyForm, readBody } from './callback-body.js';
import { type BodyForm, readContent } from './callback-parameters.js';
import type { CallbackRequest, SignedCallback } from './callback-request.js';
import { accountsOf, cloudEvents } from './cloud-events.js';
import { explainMisdirected, misdirectedRequest } from './misdirected-requests.js';
import {
  readSignatureSettings,
  SHARED_KEY_ALGORITHM,
  SIGNATURE_SETTINGS_HEADER,
  shown,
} from './signature-settings.js';
import { MODULE_OPTIONS_TOKEN, type WebhooksModuleOptions } from './webhooks.module-definition.js';

/** How many tokens are tried for events that name several accounts, or none: the request may be a stranger's. */
const MOST_TOKENS = 4;

/** Marks a controller that takes status callbacks only: a refusal names what else a request looks like. */
export const StatusCallbacksOnly = () => SetMetadata(STATUS_CALLBACKS_ONLY, true);

const STATUS_CALLBACKS_ONLY = Symbol('STATUS_CALLBACKS_ONLY');

/** What may have signed a request, and what the log says if it did not. */
interface Signer {
  readonly secrets: readonly string[];
  readonly algorithm: 'HMAC_SHA1' | typeof SHARED_KEY_ALGORITHM;
  readonly mismatch: string;
}

interface Refused {
  readonly fault: string;
  /** What the request looks like, if that belongs elsewhere. */
  readonly lookalike: string | null;
  readonly callback: SignedCallback;
  readonly request: CallbackRequest;
  readonly response: Response;
}

/** Lets in what Twilio signed for one of the configured accounts, and nothing else. */
@Injectable()
export class TwilioSignatureGuard implements CanActivate {
  /** Each line is given its context: to add a logger's own takes Nest a fifth of the time of all that a line takes. */
  private readonly logger = new Logger();

  constructor(
    private readonly accounts: TwilioAccounts,
    private readonly refusals: Refusals,
    @Inject(MODULE_OPTIONS_TOKEN) private readonly options: WebhooksModuleOptions,
    private readonly reflector: Reflector,
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
    if (fault !== null) {
      const lookalike = this.lookalike(callback, context);
      return this.refuse({ fault, lookalike, callback, request, response });
    }
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
    return { ...readContent(body, form), body, url: this.publicUrl(request) };
  }

  private publicUrl(request: CallbackRequest): string {
    const origin = this.options.publicBaseUrl ?? `${request.protocol}://${request.host}`;
    return origin + request.originalUrl;
  }

  /** @returns what is wrong with the request, or null for one that Twilio signed. */
  private findFault(request: CallbackRequest, form: BodyForm, callback: SignedCallback): string | null {
    const signature = request.headers['x-twilio-signature'];
    if (typeof signature !== 'string') return 'there is no X-Twilio-Signature header';
    const tokens = this.authTokens(callback, form);
    const signer = this.findSigner(request, tokens);
    if ('fault' in signer) return signer.fault;
    if (tokens.length === 0) return 'its AccountSid is not one of the configured accounts';
    const { secrets, algorithm, mismatch } = signer;
    const { parameters, body, url } = callback;
    const isValid = (secret: string) =>
      form === 'json'
        ? twilio.validateRequestWithBody(secret, signature, url, body, algorithm)
        : twilio.validateRequest(secret, signature, url, parameters, algorithm);
    try {
      return secrets.some(isValid) ? null : mismatch;
    } catch {
      // The library throws for a URL that is none, e.g. with a malformed Host header.
      return 'its URL is malformed';
    }
  }

  /** With the header, only the shared key that it names counts: an auth token's signature would be a downgrade. */
  private findSigner(
    request: CallbackRequest,
    tokens: readonly string[],
  ): Signer | { readonly fault: string } {
    if (request.headers[SIGNATURE_SETTINGS_HEADER] === undefined) {
      const mismatch = 'its signature does not match: compare the URL and the auth token';
      return { secrets: tokens, algorithm: 'HMAC_SHA1', mismatch };
    }
    const settings = readSignatureSettings(request.headersDistinct[SIGNATURE_SETTINGS_HEADER] ?? []);
    if ('fault' in settings) return settings;
    const keyId = shown(settings.keyId);
    const secret = this.accounts.sharedKeySecret(settings.keyId);
    return secret === undefined
      ? { fault: `it is signed with the shared key ${keyId}, which is not in TWILIO_WEBHOOK_SHARED_KEYS` }
      : {
          secrets: [secret],
          algorithm: SHARED_KEY_ALGORITHM,
          mismatch: `its signature does not match the shared key ${keyId}: compare the URL and the key's secret`,
        };
  }

  /** The tokens of the account that a request names, or of those that the events of Event Streams name. */
  private authTokens(callback: SignedCallback, form: BodyForm): readonly string[] {
    const { parameters } = callback;
    // Verify webhooks spell it the other way.
    const accountSid = parameters.AccountSid ?? parameters.account_sid;
    if (accountSid !== undefined) {
      return typeof accountSid === 'string' ? this.accounts.authTokens(accountSid) : [];
    }
    // The signature of JSON covers the URL alone, so that each token costs little.
    const events = form === 'json' ? cloudEvents(callback) : [];
    if (events.length === 0) return [];
    const named = accountsOf(events);
    const accountSids = named.length > 0 ? named : this.accounts.accountSids;
    return accountSids.flatMap((sid) => this.accounts.authTokens(sid)).slice(0, MOST_TOKENS);
  }

  /** @returns what a refused request looks like, if that belongs elsewhere; a sentence for the log and the answer. */
  private lookalike(callback: SignedCallback, context: ExecutionContext): string | null {
    if (this.reflector.get<true | undefined>(STATUS_CALLBACKS_ONLY, context.getClass()) === undefined)
      return null;
    const misdirected = misdirectedRequest(callback);
    return misdirected === null ? null : `It looks like ${explainMisdirected(misdirected)}`;
  }

  private async refuse({ fault, lookalike, callback, request, response }: Refused): Promise<never> {
    measured('callback.answered', { channel: null, status: null, result: 'refused' });
    const answer = (message: string) => (lookalike === null ? message : `${message}. ${lookalike}`);
    const retryAfterSeconds = await this.refusals.count(request.ip ?? '');
    if (retryAfterSeconds !== null) {
      response.setHeader('Retry-After', retryAfterSeconds);
      const message = answer('Too many requests without a valid signature');
      throw new HttpException(message, HttpStatus.TOO_MANY_REQUESTS);
    }
    this.logger.log('📞 [WEBHOOK] Received Twilio message status webhook', TwilioSignatureGuard.name);
    const reason = lookalike === null ? fault : `${fault}. ${lookalike}`;
    this.logger.warn(
      '⛔ [WEBHOOK] Request refused',
      { reason, checkedUrl: callback.url.split('?', 1)[0], ip: request.ip },
      TwilioSignatureGuard.name,
    );
    // Which fault it was is for the log: a stranger shall not learn which accounts and keys are configured.
    throw new ForbiddenException(answer('The request is not signed by a configured Twilio account'));
  }
}
