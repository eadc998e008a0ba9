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
  PayloadTooLargeException,
  ServiceUnavailableException,
  SetMetadata,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Response } from 'express';
import { measured } from '../process/measurements.js';
import { Refusals } from '../process/refusals.js';
import { TwilioAccounts } from '../twilio/twilio-accounts.js';
import { assertReadableLength, bodyForm, isSmallBody, readBody, SMALL_BODY } from './callback-body.js';
import { type BodyForm, type CallbackRequest, readContent, type SignedCallback } from './callback-request.js';
import { accountsOf, cloudEvents, explainMisdirected, misdirectedRequest } from './misdirected-requests.js';
import { hasTooManyParameters, MOST_PARAMETERS } from './parse-form.js';
import {
  isSignature,
  MODULE_OPTIONS_TOKEN,
  namesHashOf,
  readSignatureSettings,
  SHARED_KEY_ALGORITHM,
  shown,
  SIGNATURE_SETTINGS_HEADER,
  type SignatureClaim,
  signedText,
  signingSecret,
  type WebhooksModuleOptions,
} from './twilio-signature.js';
import { UnsignedWork } from './unsigned-work.js';

/** How many tokens are tried for events that name several accounts or none, since the request may be forged. */
const MOST_TOKENS = 4;

/** How many account SIDs are looked up in JSON that is not verified yet. */
const MOST_LOOKED_AT = 200;

const LARGE_RETRY_AFTER_SECONDS = 5;

const UNKNOWN_ACCOUNT = 'its AccountSid is not one of the configured accounts';

const NOTHING = Buffer.alloc(0);

/**
 * Marks a controller that accepts status callbacks only: a refusal then names the kind of webhook that the request
 * looks like.
 */
export const StatusCallbacksOnly = () => SetMetadata(STATUS_CALLBACKS_ONLY, true);

const STATUS_CALLBACKS_ONLY = Symbol('STATUS_CALLBACKS_ONLY');

/** How a request claims to be signed, and what the log says if it is not. */
interface Claim extends SignatureClaim {
  /** The secret of the shared key that the request names; null if the account's tokens apply. */
  readonly sharedSecret: string | null;
  readonly mismatch: string;
}

interface Fault {
  readonly fault: string;
}

/** The callback; for a faulty request, as far as it was read. */
type Checked =
  | { readonly fault: null; readonly callback: SignedCallback }
  | { readonly fault: string; readonly callback: SignedCallback | null };

interface Refused {
  readonly fault: string;
  /** The kind of webhook that the request looks like, if it belongs elsewhere. */
  readonly lookalike: string | null;
  readonly url: string;
  readonly request: CallbackRequest;
  readonly response: Response;
}

/** Accepts only requests that Twilio signed for one of the configured accounts. */
@Injectable()
export class TwilioSignatureGuard implements CanActivate {
  /** Each line passes its own context: adding a logger's context would cost Nest a fifth of the time per line. */
  private readonly logger = new Logger();

  constructor(
    private readonly accounts: TwilioAccounts,
    private readonly refusals: Refusals,
    private readonly unsigned: UnsignedWork,
    @Inject(MODULE_OPTIONS_TOKEN) private readonly options: WebhooksModuleOptions,
    private readonly reflector: Reflector,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const http = context.switchToHttp();
    const request = http.getRequest<CallbackRequest>();
    // The guard runs before the controller and again before the route.
    if (request.signedCallback !== undefined) return true;
    const response = http.getResponse<Response>();
    try {
      request.signedCallback = await this.admit(request, response, context);
    } catch (refusal) {
      await this.unsigned.untilAnswerable(request, response);
      throw refusal;
    }
    this.logger.log('📞 [WEBHOOK] Received Twilio message status webhook', TwilioSignatureGuard.name);
    this.logger.log('✅ [WEBHOOK] Twilio signature validated', TwilioSignatureGuard.name);
    return true;
  }

  /**
   * Runs the cheapest checks first and checks the address last: an address that sends forgeries may be a proxy that
   * also forwards Twilio's requests.
   */
  private async admit(
    request: CallbackRequest,
    response: Response,
    context: ExecutionContext,
  ): Promise<SignedCallback> {
    const form = bodyForm(request);
    assertReadableLength(request);
    const url = this.publicUrl(request);
    const claim = this.readClaim(request);
    if ('fault' in claim && !isSmallBody(request)) {
      return this.refuse({ ...claim, lookalike: null, url, request, response });
    }
    request.rawBody ??= await readBody(request);
    const { rawBody } = request;
    if (rawBody === undefined) {
      throw new InternalServerErrorException(
        'The body was parsed before its bytes were kept: create the Nest application with rawBody: true',
      );
    }
    const check = () => timed(request, () => this.check(claim, form, rawBody, url));
    const checked = isSmallBody(request) ? check() : await this.unsigned.checkLarge(check);
    if (checked === 'too_many') {
      measured('callback.answered', { channel: null, status: null, result: 'refused' });
      response.setHeader('Retry-After', LARGE_RETRY_AFTER_SECONDS);
      throw new ServiceUnavailableException('Too many large requests at once. Please send it again.');
    }
    const { fault, callback } = checked;
    if (fault === null) return callback;
    const lookalike = callback === null ? null : this.lookalike(callback, context);
    return this.refuse({ fault, lookalike, url, request, response });
  }

  private publicUrl(request: CallbackRequest): string {
    const origin = this.options.publicBaseUrl ?? `${request.protocol}://${request.host}`;
    return origin + request.originalUrl;
  }

  /**
   * If the settings are present, only the shared key that they name counts: an auth token's signature would be a
   * downgrade.
   */
  private readClaim(request: CallbackRequest): Claim | Fault {
    const { headers } = request;
    const signature = headers['x-twilio-signature'];
    if (typeof signature !== 'string') return { fault: 'there is no X-Twilio-Signature header' };
    if (headers[SIGNATURE_SETTINGS_HEADER] === undefined) {
      const mismatch = 'its signature does not match: compare the URL and the auth token';
      return claimed({ signature, algorithm: 'HMAC_SHA1', sharedSecret: null, mismatch });
    }
    const settings = readSignatureSettings(request.headersDistinct[SIGNATURE_SETTINGS_HEADER] ?? []);
    if ('fault' in settings) return settings;
    const keyId = shown(settings.keyId);
    const sharedSecret = this.accounts.sharedKeySecret(settings.keyId);
    if (sharedSecret === undefined) {
      return {
        fault: `it is signed with the shared key ${keyId}, which is not in TWILIO_WEBHOOK_SHARED_KEYS`,
      };
    }
    const mismatch = `its signature does not match the shared key ${keyId}: compare the URL and the key's secret`;
    return claimed({ signature, algorithm: SHARED_KEY_ALGORITHM, sharedSecret, mismatch });
  }

  /** Checks synchronously; a large request waits for its turn before this. */
  private check(claim: Claim | Fault, form: BodyForm, rawBody: Buffer, url: string): Checked {
    const body = rawBody.toString('utf8');
    if (form === 'form' && hasTooManyParameters(body)) {
      throw new PayloadTooLargeException(`A callback has ${MOST_PARAMETERS} parameters at most`);
    }
    const read = () => ({ ...readContent(body, form), form, body, url });
    if ('fault' in claim) return { ...claim, callback: read() };
    try {
      return form === 'form' ? this.checkForm(claim, read()) : this.checkJson(claim, rawBody, url, read);
    } catch (error) {
      // E.g. from a malformed Host header.
      if (URL.canParse(url)) throw error;
      return { fault: 'its URL is malformed', callback: null };
    }
  }

  private checkForm({ sharedSecret, mismatch, ...claim }: Claim, callback: SignedCallback): Checked {
    const { parameters, url } = callback;
    const tokens = this.authTokens(callback, 'form');
    if (tokens.length === 0) return { fault: UNKNOWN_ACCOUNT, callback };
    const secrets = sharedSecret === null ? tokens : [sharedSecret];
    const secret = signingSecret(secrets, claim, { url, text: signedText(parameters) });
    return secret === undefined ? { fault: mismatch, callback } : { fault: null, callback };
  }

  /** The signature covers the URL, and the URL the body: JSON is parsed after that, since deep nesting takes long. */
  private checkJson(
    { sharedSecret, mismatch, ...claim }: Claim,
    rawBody: Buffer,
    url: string,
    read: () => SignedCallback,
  ): Checked {
    const secrets = sharedSecret === null ? this.likelyTokens(rawBody) : [sharedSecret];
    const secret = namesHashOf(rawBody, url)
      ? signingSecret(secrets, claim, { url, text: NOTHING })
      : undefined;
    if (secret === undefined)
      return { fault: mismatch, callback: rawBody.length <= SMALL_BODY ? read() : null };
    const callback = read();
    const tokens = this.authTokens(callback, 'json');
    if (tokens.length === 0) return { fault: UNKNOWN_ACCOUNT, callback };
    const isItsOwn = sharedSecret !== null || tokens.includes(secret);
    return isItsOwn ? { fault: null, callback } : { fault: mismatch, callback };
  }

  /** Returns a superset of what authTokens() can return for this JSON. */
  private likelyTokens(rawBody: Buffer): readonly string[] {
    const named = new Set<string>();
    let looked = 0;
    for (const [accountSid] of rawBody.toString('latin1').matchAll(/AC[0-9a-zA-Z]+/g)) {
      looked += 1;
      if (this.accounts.authTokens(accountSid).length > 0) named.add(accountSid);
      if (named.size === MOST_TOKENS || looked === MOST_LOOKED_AT) break;
    }
    const others = this.accounts.accountSids.slice(0, MOST_TOKENS);
    return [...new Set([...named, ...others].flatMap((sid) => this.accounts.authTokens(sid)))];
  }

  /** Returns the tokens of the account that a request names, or of those that the events of Event Streams name. */
  private authTokens(callback: SignedCallback, form: BodyForm): readonly string[] {
    const { parameters } = callback;
    // Verify webhooks spell it the other way.
    const accountSid = parameters.AccountSid ?? parameters.account_sid;
    if (accountSid !== undefined) {
      return typeof accountSid === 'string' ? this.accounts.authTokens(accountSid) : [];
    }
    const events = form === 'json' ? cloudEvents(callback) : [];
    if (events.length === 0) return [];
    const named = accountsOf(events);
    const accountSids = named.length > 0 ? named : this.accounts.accountSids;
    return accountSids.flatMap((sid) => this.accounts.authTokens(sid)).slice(0, MOST_TOKENS);
  }

  /**
   * @returns a sentence for the log and the answer that says what a refused request looks like, if it belongs
   * elsewhere.
   */
  private lookalike(callback: SignedCallback, context: ExecutionContext): string | null {
    if (this.reflector.get<true | undefined>(STATUS_CALLBACKS_ONLY, context.getClass()) === undefined)
      return null;
    const misdirected = misdirectedRequest(callback);
    return misdirected === null ? null : `It looks like ${explainMisdirected(misdirected)}`;
  }

  private async refuse({ fault, lookalike, url, request, response }: Refused): Promise<never> {
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
      { reason, checkedUrl: url.split('?', 1)[0], ip: request.ip },
      TwilioSignatureGuard.name,
    );
    // Only the log names the fault: a stranger must not learn which accounts and keys are configured.
    throw new ForbiddenException(answer('The request is not signed by a configured Twilio account'));
  }
}

/** Rejects a malformed signature without any computation. */
function claimed(claim: Claim): Claim | Fault {
  return isSignature(claim) ? claim : { fault: claim.mismatch };
}

function timed<Result>(request: CallbackRequest, check: () => Result): Result {
  const startedAt = performance.now();
  try {
    return check();
  } finally {
    request.milliseconds = performance.now() - startedAt;
  }
}
