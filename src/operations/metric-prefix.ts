/** The prefix of this service's own metrics. */
export const PREFIX = 'whatsapp_sms_fallback_';
