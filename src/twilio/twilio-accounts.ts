import { Inject, Injectable } from '@nestjs/common';
import twilio from 'twilio';
import { ApiRequestClient } from './api-request-client.js';
import {
  MODULE_OPTIONS_TOKEN,
  type TwilioAccount,
  type TwilioModuleOptions,
} from './twilio.module-definition.js';

/** The accounts that the operator configured: their tokens, and a client for each. */
@Injectable()
export class TwilioAccounts {
  private readonly accounts: ReadonlyMap<string, TwilioAccount>;
  private readonly sharedKeySecrets: ReadonlyMap<string, string>;
  private readonly clients = new Map<string, twilio.Twilio>();

  constructor(@Inject(MODULE_OPTIONS_TOKEN) private readonly options: TwilioModuleOptions) {
    this.accounts = new Map(options.accounts.map((account) => [account.accountSid, account]));
    this.sharedKeySecrets = new Map(
      (options.webhookSharedKeys ?? []).map(({ keyId, secret }) => [keyId, secret]),
    );
  }

  /** All configured accounts, the main one first. */
  get accountSids(): readonly string[] {
    return [...this.accounts.keys()];
  }

  /** The tokens that may have signed a request of this account; none for an account that is not configured. */
  authTokens(accountSid: string): readonly string[] {
    return this.accounts.get(accountSid)?.authTokens ?? [];
  }

  /** The secret of a shared key; undefined for one that is not configured. */
  sharedKeySecret(keyId: string): string | undefined {
    return this.sharedKeySecrets.get(keyId);
  }

  /**
   * The client that calls Twilio as this account.
   * @throws UnknownTwilioAccountError for an account that is not configured (any more).
   */
  client(accountSid: string): twilio.Twilio {
    const account = this.accounts.get(accountSid);
    if (account === undefined) throw new UnknownTwilioAccountError(accountSid);
    const known = this.clients.get(accountSid);
    if (known !== undefined) return known;
    const client = twilio(accountSid, account.authTokens[0], {
      httpClient: new ApiRequestClient(this.options),
    });
    this.clients.set(accountSid, client);
    return client;
  }
}

export class UnknownTwilioAccountError extends Error {
  override readonly name = 'UnknownTwilioAccountError';

  constructor(readonly accountSid: string) {
    super(`The account ${accountSid} is not configured: add it to TWILIO_SUBACCOUNTS`);
  }
}
