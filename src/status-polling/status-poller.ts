import { Inject, Injectable, Logger } from '@nestjs/common';
import type { MessageInstance } from 'twilio/lib/rest/api/v2010/account/message.js';
import { numberOf, parseAddress, userIdsOf } from '../message-events/channel-address.js';
import { MessageEventsService } from '../message-events/message-events.service.js';
import type { MessageStatusReport } from '../message-events/message-status-report.js';
import { isFinal } from '../messages/message-status.js';
import { TwilioRateLimitedError } from '../twilio/api-request-client.js';
import { classifySendError } from '../twilio/send-error.js';
import { TwilioAccounts } from '../twilio/twilio-accounts.js';
import {
  type ClaimedPoll,
  MessagePollsStore,
  MODULE_OPTIONS_TOKEN,
  type StatusPollingModuleOptions,
} from './message-polls.store.js';

/** Converts Twilio's answer about a message to the report that a callback would have given. */
export function toMessageStatusReport(message: MessageInstance): MessageStatusReport {
  const to = parseAddress(message.to);
  const from = parseAddress(message.from);
  return {
    messageSid: message.sid,
    messageStatus: message.status,
    channel: to.channel ?? from.channel ?? 'sms',
    toNumber: numberOf(to),
    fromNumber: numberOf(from),
    ...userIdsOf([to]),
    // Null without an error, contrary to its type.
    errorCode: Number.isInteger(message.errorCode) ? String(message.errorCode) : null,
    errorMessage: message.errorMessage || null,
    accountSid: message.accountSid,
    payload: payloadOf(message),
    source: 'poll',
    smsFallbackId: null,
    callbackUrl: null,
  };
}

/** The message with the property names of Twilio's library. Its text is left out of the log, as in callbacks. */
function payloadOf(message: MessageInstance): Record<string, unknown> {
  const properties = Object.entries(message.toJSON() as Record<string, unknown>);
  return Object.fromEntries(properties.filter(([name]) => name !== 'body'));
}

/** How long to pause if Twilio asks for less traffic without saying for how long. */
const RATE_LIMIT_PAUSE_MILLISECONDS = 60_000;

/** The outcome of one poll, as the log names it. */
type Outcome = 'newStatus' | 'sameStatus' | 'unknownToTwilio' | 'accountNotConfigured' | 'notAnswered';

/** Asks Twilio about the messages that are due. */
@Injectable()
export class StatusPoller {
  private readonly logger = new Logger(StatusPoller.name);
  private pausedUntil = 0;

  constructor(
    private readonly store: MessagePollsStore,
    private readonly accounts: TwilioAccounts,
    private readonly messageEvents: MessageEventsService,
    @Inject(MODULE_OPTIONS_TOKEN) private readonly options: StatusPollingModuleOptions,
  ) {}

  /**
   * Asks about one batch of messages and records the answers.
   * @param signal ends it early; messages that were not polled are due again at once.
   * @returns whether to ask about more at once.
   * @throws if the database is unreachable.
   */
  async pollDue(signal: AbortSignal): Promise<boolean> {
    if (this.isPaused()) return false;
    const { claimed, more } = await this.store.claim();
    const waiting = [...claimed];
    const outcomes = new Map<Outcome, number>();
    const askInTurn = async (): Promise<void> => {
      while (!signal.aborted && !this.isPaused()) {
        const poll = waiting.shift();
        if (poll === undefined) return;
        const outcome = await this.poll(poll);
        if (outcome === 'rateLimited') waiting.push(poll);
        else outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
    };
    // Gives back at once, because a stopping service does not wait for pending answers.
    const giveBackAtStop = () => void this.giveBack(waiting.splice(0)).catch(() => undefined);
    signal.addEventListener('abort', giveBackAtStop, { once: true });
    const turns = await Promise.allSettled(Array.from({ length: this.options.concurrency ?? 5 }, askInTurn));
    signal.removeEventListener('abort', giveBackAtStop);
    if (outcomes.size > 0) this.logger.log('Twilio was asked for statuses', Object.fromEntries(outcomes));
    const failed = turns.find((turn) => turn.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    if (waiting.length > 0) {
      await this.giveBack(waiting);
      return false;
    }
    // If Twilio does not answer, the others wait for the next round.
    return more && outcomes.get('notAnswered') !== claimed.length;
  }

  private async giveBack(polls: readonly ClaimedPoll[]): Promise<void> {
    if (polls.length === 0) return;
    const pause = Math.max(0, this.pausedUntil - Date.now());
    await this.store.giveBack(
      polls.map(({ messageSid }) => messageSid),
      pause,
    );
  }

  private async poll(poll: ClaimedPoll): Promise<Outcome | 'rateLimited'> {
    const { messageSid, accountSid } = poll;
    if (!this.accounts.isConfigured(accountSid)) {
      await this.store.forget(poll);
      this.logger.warn('The account of a message is not configured', { messageSid, accountSid });
      return 'accountNotConfigured';
    }
    let message: MessageInstance | null;
    try {
      message = await this.accounts.fetchMessage(accountSid, messageSid);
    } catch (error) {
      return this.handle(poll, error);
    }
    if (message === null) {
      await this.store.forget(poll);
      this.logger.warn('Twilio does not know a message', { messageSid, accountSid });
      return 'unknownToTwilio';
    }
    const { repeated } = await this.messageEvents.record(toMessageStatusReport(message));
    // Its row in `messages` may have been added after its last event.
    if (repeated) await this.messageEvents.followAgain([messageSid]);
    if (poll.isLast || isFinal(message.status)) await this.store.forget(poll);
    return repeated ? 'sameStatus' : 'newStatus';
  }

  /** The next poll is planned already. */
  private async handle(poll: ClaimedPoll, error: unknown): Promise<Outcome | 'rateLimited'> {
    if (error instanceof TwilioRateLimitedError) {
      this.pause(error.retryAfterSeconds);
      return 'rateLimited';
    }
    const { messageSid, accountSid, isLast } = poll;
    if (isLast) await this.store.forget(poll);
    const { code, message } = classifySendError(error);
    this.logger.debug('Twilio did not answer about a message', { messageSid, accountSid, code, message });
    return 'notAnswered';
  }

  private pause(retryAfterSeconds: number | null): void {
    const pause = retryAfterSeconds === null ? RATE_LIMIT_PAUSE_MILLISECONDS : retryAfterSeconds * 1_000;
    const until = Date.now() + pause;
    if (!this.isPaused()) {
      this.logger.warn('Twilio limits the rate of requests; statuses are not asked for until then', {
        until: new Date(until),
      });
    }
    this.pausedUntil = Math.max(this.pausedUntil, until);
  }

  private isPaused(): boolean {
    return Date.now() < this.pausedUntil;
  }
}
