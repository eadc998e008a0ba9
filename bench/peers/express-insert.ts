import express from 'express';
import type { Request, Response } from 'express';
import { Pool } from 'pg';
import twilio from 'twilio';
import { WEBHOOK_PATH } from '../callbacks.js';
import { authToken, databaseUrl, HOST, port, publicBaseUrl } from './settings.js';
import { toEventRow } from './stored-event.entity.js';

/** The documented way: Express, Twilio's own middleware, and one INSERT for each request through a pool. */
const pool = new Pool({ connectionString: databaseUrl });
const app = express();
const { host } = new URL(publicBaseUrl);

app.post(
  WEBHOOK_PATH,
  express.urlencoded({ extended: false }),
  twilio.webhook({ host, protocol: 'https' }, authToken),
  async (request: Request<unknown, unknown, Record<string, string>>, response: Response) => {
    const row = toEventRow(request.body);
    await pool.query(
      `insert into message_events (
         message_sid, message_status, channel, to_number, from_number, error_code, error_message, account_sid, payload
       ) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
       on conflict (message_sid, message_status) do nothing`,
      [
        row.messageSid,
        row.messageStatus,
        row.channel,
        row.toNumber,
        row.fromNumber,
        row.errorCode,
        row.errorMessage,
        row.accountSid,
        JSON.stringify(row.payload),
      ],
    );
    response.status(204).end();
  },
);

app.listen(port, HOST);
