import type { Pool } from 'pg';
import twilio from 'twilio';
import { WEBHOOK_PATH } from '../callbacks.js';
import { accountSid, apiBaseUrl, authToken, publicBaseUrl } from './settings.js';

/** Meta chose not to deliver the message. */
const POLICY_FAILURE = '63049';

/** A WhatsApp message that needs an SMS. */
export interface RefusedMessage {
  readonly messageSid: string;
  readonly to: string;
}

const httpClient = new twilio.RequestClient();
// The fake Twilio speaks HTTP. For that, axios uses Node's global agent, which keeps connections and opens as many as
// are needed. The limits of the library's own agent do not apply.
httpClient.axios.interceptors.request.use((request) => {
  request.url = request.url?.replace('https://api.twilio.com', apiBaseUrl);
  return request;
});
const client = twilio(accountSid, authToken, { httpClient });

/** @returns undefined if the callback reports anything but a policy failure. */
export function refusedMessageOf(parameters: Readonly<Record<string, string>>): RefusedMessage | undefined {
  const { ErrorCode: errorCode, MessageSid: messageSid, To: to } = parameters;
  if (errorCode !== POLICY_FAILURE || messageSid === undefined || to === undefined) return undefined;
  return { messageSid, to: to.replace('whatsapp:', '') };
}

const SELECT_MESSAGE = `
select messages.body, companies.phone_number as "from"
  from messages
  join conversations on conversations.id = messages.conversation_id
  join companies on companies.id = conversations.company_id
 where messages.twilio_sid = $1`;

/** Sends the text of the message as an SMS. */
export async function sendSms(pool: Pool, { messageSid, to }: RefusedMessage): Promise<void> {
  const { rows } = await pool.query<{ body: string; from: string }>(SELECT_MESSAGE, [messageSid]);
  const [message] = rows;
  if (message === undefined) throw new Error(`There is no message ${messageSid}`);
  await client.messages.create({
    to,
    from: message.from,
    body: message.body,
    statusCallback: publicBaseUrl + WEBHOOK_PATH,
  });
}
