import { isNativeError } from 'node:util/types';
import twilio from 'twilio';
import type { Env } from '../config/env.js';
import { type Finding, ill, well } from './finding.js';

/** Always the same, so that all probes ever sent share one event. */
export const PROBE_MESSAGE_SID = 'SM00000000000000000000000000000000';

const LIMIT_MILLISECONDS = 10_000;

type WebhookEnv = Pick<
  Env,
  'TWILIO_ACCOUNT_SID' | 'TWILIO_AUTH_TOKEN' | 'TWILIO_WEBHOOK_SHARED_KEYS' | 'PORT'
>;

/** The secret and the URL that sign a probe. */
interface ProbeSignature {
  readonly url: string;
  readonly secret: string;
  /** The shared key of the secret; undefined for an auth token. */
  readonly keyId?: string;
}

/** Checks that callbacks get through from outside, with the URL that Twilio signs. */
export async function* checkWebhook(
  env: WebhookEnv,
  callbackUrl: string | undefined,
): AsyncGenerator<Finding> {
  if (callbackUrl === undefined) {
    yield ill('public URL', 'it is unknown', 'Set PUBLIC_BASE_URL to the https origin that Twilio calls');
    return;
  }
  const unsigned = await post(callbackUrl, null, env);
  // 429: this address was refused too often lately, so the service is up.
  if (unsigned === 403 || unsigned === 429)
    yield well('public URL', `${callbackUrl} rejects unsigned requests`);
  else {
    yield unreachable(callbackUrl, unsigned);
    return;
  }
  const signed = await post(callbackUrl, { url: callbackUrl, secret: env.TWILIO_AUTH_TOKEN }, env);
  if (signed === 204) yield well('signature', 'a correctly signed probe is accepted');
  else if (signed === 403 || signed === 429) yield await findMismatch(callbackUrl, env);
  else yield ill('signature', `a signed probe is answered ${signed}`, 'See the log of the service');
  for (const { keyId, secret } of env.TWILIO_WEBHOOK_SHARED_KEYS) {
    yield sharedKeyFinding(keyId, await post(callbackUrl, { url: callbackUrl, secret, keyId }, env));
  }
}

function sharedKeyFinding(keyId: string, answer: number | string): Finding {
  const check = 'shared key';
  const probe = `a probe signed with the shared key ${keyId}`;
  if (answer === 204) return well(check, `${probe} is accepted`);
  if (answer === 403 || answer === 429) {
    return ill(
      check,
      `${probe} is refused`,
      'Start the service with the same TWILIO_WEBHOOK_SHARED_KEYS. Its log line "Request refused" says what differs',
    );
  }
  return ill(check, `${probe} is answered ${answer}`, 'See the log of the service');
}

function unreachable(url: string, answer: number | string): Finding {
  if (typeof answer === 'string') {
    return ill('public URL', `${url} does not answer: ${answer}`, 'Check DNS, certificate and firewall');
  }
  if (answer >= 300 && answer < 400) {
    return ill(
      'public URL',
      `${url} redirects (${answer})`,
      'Set PUBLIC_BASE_URL to the address that it redirects to',
    );
  }
  if (answer === 204)
    return ill('public URL', `${url} accepts unsigned requests`, 'Something else answers there');
  const advice = 'Does the proxy pass this path on to the service, and does the service run?';
  return ill('public URL', `${url} answers ${answer} instead of 403`, advice);
}

/** Signs the probe for other URLs until it finds the one that the service believes it was called with. */
async function findMismatch(callbackUrl: string, env: WebhookEnv): Promise<Finding> {
  for (const candidate of candidates(callbackUrl, env.PORT)) {
    if ((await post(callbackUrl, { url: candidate, secret: env.TWILIO_AUTH_TOKEN }, env)) !== 204) continue;
    const [called, checked] = [new URL(callbackUrl), new URL(candidate)];
    const wrong = [
      ...(called.protocol === checked.protocol ? [] : ['scheme']),
      ...(called.hostname === checked.hostname ? [] : ['host']),
      ...(called.port === checked.port ? [] : ['port']),
    ];
    return ill(
      'signature',
      `the service checks signatures against the wrong ${wrong.join(' and ')}: ${checked.origin} instead of ${called.origin}`,
      `Start the service with PUBLIC_BASE_URL=${called.origin}`,
    );
  }
  return ill(
    'signature',
    'a signed probe is refused, whatever scheme, host or port it is signed for',
    'Does the service have the same TWILIO_AUTH_TOKEN? Its log line "Request refused" names the URL that it checked',
  );
}

/** Twilio's library treats a URL with and without the scheme's default port as the same. */
function candidates(callbackUrl: string, servicePort: number): string[] {
  const { host, hostname, pathname } = new URL(callbackUrl);
  const hosts = [
    host,
    hostname,
    `${hostname}:${servicePort}`,
    `localhost:${servicePort}`,
    `127.0.0.1:${servicePort}`,
  ];
  const origins = [...hosts, 'localhost', '127.0.0.1'].flatMap((name) => [
    `https://${name}`,
    `http://${name}`,
  ]);
  return [...new Set(origins)].map((origin) => origin + pathname).filter((url) => url !== callbackUrl);
}

/**
 * Sends one probe on a new connection, because the other side may close a kept-alive one just as it is used.
 * @returns the status of the response, or the reason why the request failed.
 */
async function post(
  url: string,
  signature: ProbeSignature | null,
  env: WebhookEnv,
): Promise<number | string> {
  const parameters = {
    AccountSid: env.TWILIO_ACCOUNT_SID,
    MessageSid: PROBE_MESSAGE_SID,
    MessageStatus: 'doctor-probe',
  };
  try {
    const response = await fetch(url, {
      method: 'POST',
      redirect: 'manual',
      headers: { connection: 'close', ...(signature && signatureHeaders(signature, parameters)) },
      body: new URLSearchParams(parameters),
      signal: AbortSignal.timeout(LIMIT_MILLISECONDS),
    });
    return response.status;
  } catch (error) {
    return reasonOf(error);
  }
}

/** fetch() says only "fetch failed". The reason is in its cause, which has a code only if every address failed. */
function reasonOf(error: unknown): string {
  const cause = isNativeError(error) ? error.cause : undefined;
  if (!isNativeError(cause)) return String(error);
  return cause.message || ('code' in cause ? String(cause.code) : cause.name);
}

function signatureHeaders(
  { url, secret, keyId }: ProbeSignature,
  parameters: Readonly<Record<string, string>>,
): Record<string, string> {
  if (keyId === undefined) {
    return { 'X-Twilio-Signature': twilio.getExpectedTwilioSignature(secret, url, parameters) };
  }
  const algorithm = 'HMAC_SHA256';
  return {
    'X-Twilio-Signature': twilio.getExpectedTwilioSignature(secret, url, parameters, algorithm),
    'X-Twilio-Webhooks-Signature-Settings': `key=${keyId},algorithm=${algorithm}`,
  };
}
