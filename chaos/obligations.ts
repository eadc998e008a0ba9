import type { TwilioSimulator } from '../simulator/twilio-simulator.js';
import { MAIN_ACCOUNT } from './accounts.js';
import type { Ledger } from './ledger.js';
import type { Load } from './load.js';
import { isNeverSent } from './findings.js';
import { FAILED, POLICY_ERROR_CODE } from './status-steps.js';

/** The facts that the service must know: from acknowledged callbacks and, if it polls, from Twilio's answers. */
export class Obligations {
  constructor(
    private readonly load: Load,
    private readonly ledger: Ledger,
    private readonly twilio: TwilioSimulator,
    /** Whether the service polls. */
    readonly asksTwilio: boolean,
  ) {}

  /** Whether it must know of a message's policy failure. */
  isTold(messageSid: string): boolean {
    return (
      this.ledger.policyFailures.has(messageSid) || (this.asksTwilio && this.isToldWhenItAsks(messageSid))
    );
  }

  /** Returns the SIDs of the messages whose failure it must know. */
  told(): string[] {
    return [...this.load.messages.values()]
      .filter(({ fails, sid }) => fails && this.isTold(sid))
      .map(({ sid }) => sid);
  }

  /** Returns the SIDs of the SMS that were never sent and that it must know as such. */
  neverSent(): string[] {
    return this.twilio.messages
      .filter((sms) => isNeverSent(sms) && this.ledger.acknowledgedAt(sms.sid, FAILED) !== null)
      .map(({ sid }) => sid);
  }

  /** When the application handed a message to Twilio, in milliseconds since 1970; Infinity: not yet. */
  sentAt(messageSid: string): number {
    return this.twilio.findMessage(messageSid)?.dateCreated.getTime() ?? Infinity;
  }

  /**
   * Whether polling reveals the failure. Twilio's answer has only the last status. The service asks as the account of a
   * callback or as the main account, and does not ask about a message that a callback reported as delivered.
   */
  private isToldWhenItAsks(messageSid: string): boolean {
    const message = this.twilio.findMessage(messageSid);
    const statuses = this.ledger.statusesOf(messageSid);
    return (
      message?.errorCode === POLICY_ERROR_CODE &&
      (message.accountSid === MAIN_ACCOUNT.sid || statuses.size > 0) &&
      // A callback may be stored although its answer was lost.
      this.ledger.toldAt(messageSid, ['delivered', 'read']) === null
    );
  }
}
