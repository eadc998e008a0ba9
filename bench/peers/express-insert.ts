import express from 'express';
import type { Request, Response } from 'express';
import { Pool } from 'pg';
import twilio from 'twilio';
import { WEBHOOK_PATH } from '../callbacks.js';
import { insertEvent } from './insert-event.js';
import { authToken, databaseUrl, HOST, port, publicBaseUrl } from './settings.js';

/** The documented way: Express, Twilio's own middleware, and one INSERT for each request through a pool. */
const pool = new Pool({ connectionString: databaseUrl });
const app = express();
const { host } = new URL(publicBaseUrl);

app.post(
  WEBHOOK_PATH,
  express.urlencoded({ extended: false }),
  twilio.webhook({ host, protocol: 'https' }, authToken),
  async (request: Request<unknown, unknown, Record<string, string>>, response: Response) => {
    await insertEvent(pool, request.body);
    response.status(204).end();
  },
);

app.listen(port, HOST);
