import { channelOf, maskedNumber, withoutChannel } from './addresses.js';
import type { CallbackStep } from './callback-plan.js';
import { demoAccount } from './demo-account.js';
import type { FormParameters } from './form-parameters.js';
import type { SimulatedMessage } from './message.js';

/** The content of a status callback. */
export interface StatusCallback {
  readonly messageSid: string;
  readonly status: string;
  /** The recipient, a number or a WhatsApp user ID; on WhatsApp with or without the prefix. */
  readonly to: string;
  /** The sender; on WhatsApp with or without the prefix. */
  readonly from: string;
  /** Default: the demo account. */
  readonly accountSid?: string;
  readonly messagingServiceSid?: string;
  readonly errorCode?: number;
  readonly errorMessage?: string;
  /** `CC.…` or `CC.ENT.…`, with or without the prefix: sent unchanged. */
  readonly externalUserId?: string;
  readonly parentExternalUserId?: string;
  /** More parameters, or other values for the usual ones. */
  readonly extra?: FormParameters;
  /** Names of parameters to leave out: real callbacks sometimes lack `To`. */
  readonly without?: readonly string[];
}

/**
 * Returns the parameters of a WhatsApp message's callback: the field set of real captures (see the project's notes on
 * Twilio). ChannelInstallSid and EventType are only sometimes present there; pass them as `extra`.
 */
export function whatsappStatusParameters(callback: StatusCallback): FormParameters {
  const to = withPrefix(callback.to);
  return finished(callback, {
    ...common({ ...callback, to, from: withPrefix(callback.from) }),
    ChannelPrefix: 'whatsapp',
    ChannelToAddress: maskedNumber(withoutChannel(to)),
    StructuredMessage: 'false',
    ...(callback.externalUserId !== undefined && { ExternalUserId: callback.externalUserId }),
    ...(callback.parentExternalUserId !== undefined && {
      ParentExternalUserId: callback.parentExternalUserId,
    }),
  });
}

/** Returns the parameters of an SMS's callback: the field set of real captures. */
export function smsStatusParameters(callback: StatusCallback): FormParameters {
  const reported = callback.status === 'delivered' || callback.status === 'undelivered';
  return finished(callback, {
    ...common(callback),
    ...(callback.messagingServiceSid !== undefined && { MessagingServiceSid: callback.messagingServiceSid }),
    ...(reported && { RawDlrDoneDate: rawDlrDoneDate(new Date()) }),
  });
}

/** Returns the parameters of the callback for this step of a message, by the message's channel. */
export function statusParametersOf(message: SimulatedMessage, step: CallbackStep): FormParameters {
  const build = channelOf(message.to) === 'whatsapp' ? whatsappStatusParameters : smsStatusParameters;
  return build({
    messageSid: message.sid,
    status: step.status,
    to: message.to,
    from: message.from ?? '',
    accountSid: message.accountSid,
    messagingServiceSid: message.messagingServiceSid,
    errorCode: step.errorCode,
    errorMessage: step.errorMessage,
    externalUserId: message.externalUserId,
    parentExternalUserId: message.parentExternalUserId,
  });
}

function common(callback: StatusCallback): Record<string, string> {
  return {
    AccountSid: callback.accountSid ?? demoAccount.sid,
    ApiVersion: '2010-04-01',
    From: callback.from,
    MessageSid: callback.messageSid,
    MessageStatus: callback.status,
    SmsSid: callback.messageSid,
    SmsStatus: callback.status,
    To: callback.to,
    ...(callback.errorCode !== undefined && { ErrorCode: String(callback.errorCode) }),
    ...(callback.errorMessage !== undefined && { ErrorMessage: callback.errorMessage }),
  };
}

function finished(callback: StatusCallback, usual: FormParameters): FormParameters {
  const left = Object.entries({ ...usual, ...callback.extra });
  return Object.fromEntries(left.filter(([name]) => callback.without?.includes(name) !== true));
}

function withPrefix(address: string): string {
  return address.startsWith('whatsapp:') ? address : `whatsapp:${address}`;
}

/** YYMMDDhhmm, in UTC here; Twilio's has no zone. */
function rawDlrDoneDate(date: Date): string {
  return date.toISOString().replaceAll(/\D/g, '').slice(2, 12);
}
