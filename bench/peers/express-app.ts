import express from 'express';
import type { Request, Response } from 'express';
import twilio from 'twilio';
import { WEBHOOK_PATH } from '../callbacks.js';
import { authToken, HOST, port, publicBaseUrl } from './settings.js';

const { host } = new URL(publicBaseUrl);

/** Serves callbacks the documented way: Express and Twilio's own middleware. It answers 204 after `handle`. */
export function serve(handle: (parameters: Readonly<Record<string, string>>) => Promise<unknown>): void {
  const app = express();
  app.post(
    WEBHOOK_PATH,
    express.urlencoded({ extended: false }),
    twilio.webhook({ host, protocol: 'https' }, authToken),
    async (request: Request<unknown, unknown, Record<string, string>>, response: Response) => {
      await handle(request.body);
      response.status(204).end();
    },
  );
  app.listen(port, HOST);
}
