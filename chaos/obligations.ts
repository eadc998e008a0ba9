import type { TwilioSimulator } from '../simulator/twilio-simulator.js';
import { MAIN_ACCOUNT } from './accounts.js';
import type { Ledger } from './ledger.js';
import type { Load } from './load.js';
import { POLICY_ERROR_CODE } from './status-steps.js';

/** Which policy failures the service has to know of, by what it was told and, where it asks, by what it was not. */
export class Obligations {
  constructor(
    private readonly load: Load,
    private readonly ledger: Ledger,
    private readonly twilio: TwilioSimulator,
    /** Whether the service polls. */
    readonly asksTwilio: boolean,
  ) {}

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
