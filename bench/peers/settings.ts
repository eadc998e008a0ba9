/** The settings of a peer from its environment. */
export const port = Number(process.env.PORT);
export const authToken = process.env.TWILIO_AUTH_TOKEN ?? '';
export const publicBaseUrl = process.env.PUBLIC_BASE_URL ?? '';
export const databaseUrl = process.env.DATABASE_URL ?? '';

export const HOST = '127.0.0.1';
