/** A fictional account and token. */
export const ACCOUNT = { sid: 'ACb0000000000000000000000000000001', token: 'bench-token-of-the-account' };

/** The public origin, as Twilio knows it: every contender checks signatures against it. */
export const PUBLIC_BASE_URL = 'https://hooks.example.com';

export const WEBHOOK_PATH = '/api/webhooks/twilio/message-status';

/** Also valid if a measurement configures it. */
export const SECONDARY_TOKEN = 'bench-token-for-rotation';
