import { Inject, Injectable, Optional } from '@nestjs/common';
import twilio from 'twilio';
import type { MessageInstance } from 'twilio/lib/rest/api/v2010/account/message.js';
import { ApiRequestClient } from './api-request-client.js';
import { TwilioOutages } from './twilio-outages.js';
import {
  MODULE_OPTIONS_TOKEN,
  type TwilioAccount,
  type TwilioModuleOptions,
} from './twilio.module-definition.js';

/** The configured accounts, with their tokens and a client for each. */
@Injectable()
export class TwilioAccounts {
  private readonly accounts: ReadonlyMap<string, TwilioAccount>;
  private readonly sharedKeySecrets: ReadonlyMap<string, string>;
  private readonly clients = new Map<string, twilio.Twilio>();

  constructor(
    @Inject(MODULE_OPTIONS_TOKEN) private readonly options: TwilioModuleOptions,
    @Optional() private readonly outages?: TwilioOutages,
  ) {
    this.accounts = new Map(options.accounts.map((account) => [account.accountSid, account]));
    this.sharedKeySecrets = new Map(
      (options.webhookSharedKeys ?? []).map(({ keyId, secret }) => [keyId, secret]),
    );
  }

  /** All configured accounts, the main one first. */
  get accountSids(): readonly string[] {
    return [...this.accounts.keys()];
  }

  isConfigured(accountSid: string): boolean {
    return this.accounts.has(accountSid);
  }

  /** The tokens that may have signed a request of this account; empty if it is not configured. */
  authTokens(accountSid: string): readonly string[] {
    return this.accounts.get(accountSid)?.authTokens ?? [];
  }

  /** The secret of a shared key; undefined if it is not configured. */
  sharedKeySecret(keyId: string): string | undefined {
    return this.sharedKeySecrets.get(keyId);
  }

  /**
   * The client that calls Twilio as this account.
   * @throws UnknownTwilioAccountError if the account is not, or no longer, configured.
   */
  client(accountSid: string): twilio.Twilio {
    const account = this.accounts.get(accountSid);
    if (account === undefined) {
      const code = 'UNKNOWN_ACCOUNT';
      this.outages?.observe(accountSid, 'send', { reason: 'not_configured', code, retryAfterSeconds: null });
      throw new UnknownTwilioAccountError(accountSid);
    }
    const known = this.clients.get(accountSid);
    if (known !== undefined) return known;
    const client = twilio(accountSid, account.authTokens[0], {
      httpClient: new ApiRequestClient(this.options, (operation, failure) =>
        this.outages?.observe(accountSid, operation, failure),
      ),
    });
    this.clients.set(accountSid, client);
    return client;
  }

  /**
   * Fetches a message from Twilio; null if Twilio does not know it.
   * @throws an error for `classifySendError` if Twilio cannot answer now.
   */
  async fetchMessage(accountSid: string, messageSid: string): Promise<MessageInstance | null> {
    const client = this.client(accountSid);
    try {
      return await client.messages(messageSid).fetch();
    } catch (error) {
      if (!(error instanceof twilio.RestException && error.status === 404)) throw error;
      // Twilio answers the same 404 if it does not know the account.
      await client.api.v2010.accounts(accountSid).fetch();
      return null;
    }
  }
}

export class UnknownTwilioAccountError extends Error {
  override readonly name = 'UnknownTwilioAccountError';

  constructor(readonly accountSid: string) {
    super(`The account ${accountSid} is not configured: add it to TWILIO_SUBACCOUNTS`);
  }
}
