import { Inject, Injectable } from '@nestjs/common';
import twilio from 'twilio';
import { PeriodicWork } from '../process/periodic-work.js';
import { TwilioRateLimitedError } from './api-request-client.js';
import { type AccountFailure, failureOfAnswer, failureOfError, outageInWords } from './outage-reasons.js';
import { CONNECTION_ERRORS } from './send-error.js';
import { TwilioAccounts } from './twilio-accounts.js';
import { type Failing, type Outage, TwilioOutages } from './twilio-outages.js';
import { MODULE_OPTIONS_TOKEN, type TwilioModuleOptions } from './twilio.module-definition.js';

/** An outage that this process has logged. */
interface Told {
  readonly since: Date;
  readonly reasons: Set<string>;
}

/**
 * Logs outages once at their start and once at their end. While an account fails and makes no other requests, it sends
 * one itself, so that it notices the end, and also an outage when there is little traffic.
 */
@Injectable()
export class OutageWatch extends PeriodicWork {
  private readonly told = new Map<string, Told>();
  private readonly askedAt = new Map<string, number>();
  private readonly askAgainAfterMilliseconds: number;

  constructor(
    private readonly accounts: TwilioAccounts,
    private readonly outages: TwilioOutages,
    @Inject(MODULE_OPTIONS_TOKEN)
    { intervalMilliseconds = 5_000, askAgainAfterMilliseconds = 20_000 }: TwilioModuleOptions,
  ) {
    super({ intervalMilliseconds, failure: 'Outages of Twilio cannot be looked for now' });
    this.askAgainAfterMilliseconds = askAgainAfterMilliseconds;
  }

  /** @throws if the database is down. */
  async runOnce(): Promise<void> {
    await this.outages.flush();
    const failing = await this.outages.findFailing();
    await this.tell();
    if (failing.length === 0) return;
    await this.askAgain(failing);
    await this.outages.flush();
    await this.tell(await this.outages.forget());
  }

  /** @param forgotten accounts whose state is unknown. */
  private async tell(forgotten: readonly string[] = []): Promise<void> {
    const outages = await this.outages.list();
    // What the list no longer has may have been ended by a statement that is not answered yet.
    await this.outages.flush();
    this.tellOfStarts(outages);
    for (const { accountSid, since, reason } of this.outages.takeEnded()) {
      if (!this.told.has(accountSid)) this.told.set(accountSid, { since, reasons: new Set([reason]) });
    }
    for (const [accountSid, told] of this.told) {
      if (outages.some((outage) => outage.accountSid === accountSid)) continue;
      this.told.delete(accountSid);
      this.tellOfEnd(accountSid, told, forgotten.includes(accountSid));
    }
  }

  private tellOfStarts(outages: readonly Outage[]): void {
    for (const { accountSid, reason, since, errorCode, operations, waiting } of outages) {
      const told = this.told.get(accountSid) ?? { since, reasons: new Set() };
      this.told.set(accountSid, told);
      if (told.reasons.has(reason)) continue;
      told.reasons.add(reason);
      const { meaning, remedy } = outageInWords(reason);
      const fields = { accountSid, reason, code: errorCode, operations: operations.join(), since, waiting };
      this.logger.error('Twilio cannot be used', { ...fields, meaning, remedy });
    }
  }

  private tellOfEnd(accountSid: string, { since, reasons }: Told, isForgotten: boolean): void {
    const message = isForgotten
      ? 'An outage of Twilio was not seen again, and nothing waits'
      : 'Twilio can be used again';
    const seconds = Math.round((Date.now() - since.getTime()) / 1_000);
    this.logger.log(message, { accountSid, reason: [...reasons].join(), since, seconds });
  }

  private async askAgain(failing: readonly Failing[]): Promise<void> {
    const now = performance.now();
    const sids = new Set(failing.filter((row) => this.isStale(row)).map(({ accountSid }) => accountSid));
    const due = [...sids].filter((sid) => {
      const askedAt = this.askedAt.get(sid);
      return askedAt === undefined || now - askedAt >= this.askAgainAfterMilliseconds;
    });
    for (const sid of due) this.askedAt.set(sid, now);
    await Promise.all(
      due.map((sid) =>
        this.ask(
          sid,
          failing.filter(({ accountSid }) => accountSid === sid),
        ),
      ),
    );
  }

  private isStale({ accountSid, isToWait, lastFailedMillisecondsAgo }: Failing): boolean {
    if (isToWait || !this.accounts.isConfigured(accountSid)) return false;
    return lastFailedMillisecondsAgo >= this.askAgainAfterMilliseconds;
  }

  /** The client reports the request itself, as a `read`. This reports what it shows about other operations. */
  private async ask(accountSid: string, failing: readonly Failing[]): Promise<void> {
    const answer = await this.fetchFailure(accountSid);
    if (answer === undefined) return;
    const others = failing.filter(({ operation }) => operation !== 'read');
    const couldNotRead = others.length < failing.length;
    for (const row of others) {
      if (answer !== null && row.reason !== 'rate_limited')
        this.outages.observe(accountSid, row.operation, answer);
      else if (answer === null && isOver(row, couldNotRead))
        this.outages.observe(accountSid, row.operation, null);
    }
  }

  /** @returns null if the account can be used, undefined if that is unknown. */
  private async fetchFailure(accountSid: string): Promise<AccountFailure | null | undefined> {
    try {
      const { status } = await this.accounts.client(accountSid).api.v2010.accounts(accountSid).fetch();
      if (status === 'active') return null;
      return { reason: 'account_suspended', code: status, retryAfterSeconds: null };
    } catch (error) {
      if (error instanceof TwilioRateLimitedError) return undefined;
      if (!(error instanceof twilio.RestException)) return failureOfError(error);
      const { status, code, message } = error;
      const body = code === undefined ? null : { code, message };
      return failureOfAnswer({ status, body, isOfOneItem: false, retryAfterSeconds: null });
    }
  }
}

/**
 * Whether an answer about the account shows that other requests succeed again.
 * @param couldNotRead whether reading failed until now: then both had the same cause, which is over.
 */
function isOver({ operation, reason, errorCode }: Failing, couldNotRead: boolean): boolean {
  switch (reason) {
    case 'rate_limited':
      return false;
    case 'account_suspended':
      // The status may change before Twilio accepts SMS again.
      return couldNotRead || isAccountStatus(errorCode);
    case 'unreachable':
      // Templates are served by another host.
      return operation === 'send' && (couldNotRead || CONNECTION_ERRORS.has(errorCode));
    case 'bad_token':
    case 'unknown_account':
    case 'not_configured':
      return true;
  }
}

/** Whether it is an account status from an earlier answer instead of an error code: `suspended`, `closed`. */
function isAccountStatus(errorCode: string): boolean {
  return !/^(\d+|HTTP \d+)$/.test(errorCode);
}
