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
