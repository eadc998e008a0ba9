import type { TwilioSimulator } from '../simulator/twilio-simulator.js';
import { MAIN_ACCOUNT } from './accounts.js';
import type { Ledger } from './ledger.js';
import type { Load } from './load.js';
import { isNeverSent } from './findings.js';
import { FAILED, POLICY_ERROR_CODE } from './status-steps.js';

/** What the service has to know of: by callbacks that it acknowledged and, if it polls, by what it can ask for. */
export class Obligations {
  constructor(
    private readonly load: Load,
    private readonly ledger: Ledger,
    private readonly twilio: TwilioSimulator,
    /** Whether the service polls. */
    readonly asksTwilio: boolean,
  ) {}

  /** Whether it has to know of a message's policy failure. */
  isTold(messageSid: string): boolean {
    return (
      this.ledger.policyFailures.has(messageSid) || (this.asksTwilio && this.isToldWhenItAsks(messageSid))
    );
  }

  /** The SIDs of the messages whose failure it has to know of. */
  told(): string[] {
    return [...this.load.messages.values()]
      .filter(({ fails, sid }) => fails && this.isTold(sid))
      .map(({ sid }) => sid);
  }

  /** The SIDs of the SMS that were never sent, and of which it has to know that. */
  neverSent(): string[] {
    return this.twilio.messages
      .filter((sms) => isNeverSent(sms) && this.ledger.acknowledgedAt(sms.sid, FAILED) !== null)
      .map(({ sid }) => sid);
  }

  /** When the application handed a message to Twilio, in milliseconds since 1970; Infinity: it has not yet. */
  sentAt(messageSid: string): number {
    return this.twilio.findMessage(messageSid)?.dateCreated.getTime() ?? Infinity;
  }

  /**
   * Twilio's answer has the last status only, it is asked as the account of a callback, or as the main one, and about
   * a message that was delivered according to a callback it is not asked.
   */
  private isToldWhenItAsks(messageSid: string): boolean {
    const message = this.twilio.findMessage(messageSid);
    const statuses = this.ledger.statusesOf(messageSid);
    return (
      message?.errorCode === POLICY_ERROR_CODE &&
      (message.accountSid === MAIN_ACCOUNT.sid || statuses.size > 0) &&
      !statuses.has('delivered') &&
      !statuses.has('read')
    );
  }
}
