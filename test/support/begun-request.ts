import { once } from 'node:events';
import { type Agent, type ClientRequest, request } from 'node:http';
import { whatsappStatusParameters } from '../../simulator/callback-parameters.js';
import { demoAccount } from '../../simulator/demo-account.js';
import { type SignedRequest, signRequest } from '../../simulator/signed-request.js';
import { PUBLIC_BASE_URL, WEBHOOK_PATH, WEBHOOK_URL } from './application.js';
import type { ServiceProcess } from './service-process.js';
import { until } from './until.js';

/** A signed callback with the status sent. */
export function callback(messageSid: string): SignedRequest {
  return signRequest({
    url: WEBHOOK_URL,
    authToken: demoAccount.authToken,
    parameters: whatsappStatusParameters({
      messageSid,
      status: 'sent',
      to: '+15557654321',
      from: '+15550001111',
    }),
  });
}

/** Begins a request. The service has seen its headers and asks for the body, which has not been sent yet. */
export async function begin(
  service: ServiceProcess,
  { headers, body }: SignedRequest,
  agent?: Agent,
): Promise<ClientRequest> {
  const outgoing = request(service.origin + WEBHOOK_PATH, {
    agent,
    method: 'POST',
    headers: {
      ...headers,
      Host: new URL(PUBLIC_BASE_URL).host,
      'Content-Length': Buffer.byteLength(body),
      Expect: '100-continue',
    },
  });
  outgoing.flushHeaders();
  await once(outgoing, 'continue');
  return outgoing;
}

export async function untilItRefusesConnections(service: ServiceProcess): Promise<void> {
  await until('the service to refuse connections', () =>
    fetch(`${service.origin}/health/live`, { headers: { Connection: 'close' } }).then(
      () => false,
      () => true,
    ),
  );
}
