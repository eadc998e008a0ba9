/** What the names of this service's own metrics begin with. */
export const PREFIX = 'whatsapp_sms_fallback_';
