import { ConfigurableModuleBuilder } from '@nestjs/common';
import type { DomainEvent } from '../domain-events/domain-event.js';
import { isE164 } from '../messages/phone-number.js';
import type { MessageStatusReport } from './message-status-report.js';

/** 63049: Meta's policy kept a marketing message from this person. */
export const DEFAULT_POLICY_FAILURE_ERROR_CODES: readonly string[] = ['63049'];

/**
 * Whether Meta's policy kept a WhatsApp message from its recipient. Twilio reports 63049 as `failed` and, as seen in
 * the field, as `undelivered`.
 * @param errorCodes the codes that count, e.g. 63049.
 */
export function isPolicyFailure(
  { channel, messageStatus, errorCode }: Pick<MessageStatusReport, 'channel' | 'messageStatus' | 'errorCode'>,
  errorCodes: ReadonlySet<string>,
): boolean {
  return (
    channel === 'whatsapp' &&
    (messageStatus === 'failed' || messageStatus === 'undelivered') &&
    errorCode !== null &&
    errorCodes.has(errorCode)
  );
}

/** A WhatsApp message was not delivered, because of Meta's policy. */
export interface WhatsappPolicyFailed extends DomainEvent {
  /** `message_events.id` of the callback that reported it. A message's `failed` and `undelivered` are two events. */
  readonly messageEventId: string;
  readonly messageSid: string;
  readonly accountSid: string;
  /** `failed` or `undelivered`. */
  readonly messageStatus: string;
  /** Twilio's error code, e.g. `63049`. */
  readonly errorCode: string;
  /** The recipient in E.164; null if the callback names none, e.g. for a person with a WhatsApp username. */
  readonly toNumber: string | null;
  /** WhatsApp's business-scoped ID of the recipient. */
  readonly userId: string | null;
  readonly parentUserId: string | null;
  /** The public URL, without a query, at which Twilio reported it; null if the report came another way. */
  readonly callbackUrl: string | null;
}

declare module '../domain-events/domain-event.js' {
  interface DomainEvents {
    'whatsapp.policy_failed': WhatsappPolicyFailed;
  }
}

type FailureReport = Pick<
  MessageStatusReport,
  | 'messageSid'
  | 'accountSid'
  | 'messageStatus'
  | 'errorCode'
  | 'toNumber'
  | 'userId'
  | 'parentUserId'
  | 'callbackUrl'
>;

/**
 * The domain event of a policy failure; its id is always that of the event in `message_events`, even when it is
 * published again.
 */
export function whatsappPolicyFailed(
  messageEventId: string,
  report: FailureReport,
  occurredAt: Date,
): WhatsappPolicyFailed {
  const { messageSid, accountSid, messageStatus, errorCode, toNumber, userId, parentUserId, callbackUrl } =
    report;
  return {
    id: messageEventId,
    occurredAt: occurredAt.toISOString(),
    messageEventId,
    messageSid,
    accountSid,
    messageStatus,
    errorCode: errorCode ?? '',
    toNumber: toNumber !== null && isE164(toNumber) ? toNumber : null,
    userId: userId ?? null,
    parentUserId: parentUserId ?? null,
    callbackUrl,
  };
}

export interface MessageEventsModuleOptions {
  /** The error codes that make an undelivered WhatsApp message a policy failure. Default 63049. */
  policyFailureErrorCodes?: readonly string[];
  /**
   * Selects the reports that are published as `message.status_recorded`, in the transaction that stores them. Default:
   * none. It runs for each callback, so it must be quick and never throw.
   */
  statusRecorded?: (report: MessageStatusReport) => boolean;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<MessageEventsModuleOptions>().setClassMethodName('forRoot').build();
