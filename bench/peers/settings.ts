/** The settings of a peer from its environment. */
export const port = Number(process.env.PORT);
export const accountSid = process.env.TWILIO_ACCOUNT_SID ?? '';
export const authToken = process.env.TWILIO_AUTH_TOKEN ?? '';
export const apiBaseUrl = process.env.TWILIO_API_BASE_URL ?? '';
export const publicBaseUrl = process.env.PUBLIC_BASE_URL ?? '';
export const databaseUrl = process.env.DATABASE_URL ?? '';

export const HOST = '127.0.0.1';
