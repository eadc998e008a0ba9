/** The data of a callback that the peers store: the columns that the operator's queries need, and all parameters. */
export interface EventRow {
  readonly messageSid: string;
  readonly messageStatus: string;
  readonly channel: string;
  readonly toNumber: string | null;
  readonly fromNumber: string | null;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
  readonly accountSid: string;
  readonly payload: Readonly<Record<string, string>>;
}

export function toEventRow(parameters: Readonly<Record<string, string>>): EventRow {
  const { To: to, From: from, MessageSid: sid = '', MessageStatus: status = '' } = parameters;
  return {
    messageSid: sid,
    messageStatus: status,
    channel: to?.startsWith('whatsapp:') === true ? 'whatsapp' : 'sms',
    toNumber: to?.replace('whatsapp:', '') ?? null,
    fromNumber: from?.replace('whatsapp:', '') ?? null,
    errorCode: parameters.ErrorCode ?? null,
    errorMessage: parameters.ErrorMessage ?? null,
    accountSid: parameters.AccountSid ?? '',
    payload: parameters,
  };
}
