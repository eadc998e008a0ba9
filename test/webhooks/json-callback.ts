import { getExpectedBodyHash } from 'twilio/lib/webhooks/webhooks.js';
import { PUBLIC_BASE_URL, WEBHOOK_PATH } from '../support/application.js';
import type { CallbackPost } from './post-callback.js';

/** A JSON callback: Twilio signs its URL, which has the hash of the body in the query. */
export function jsonCallback(json: unknown, post: CallbackPost = {}): CallbackPost {
  return jsonTextCallback(JSON.stringify(json), post);
}

/** The same, with a body that is written as it is. */
export function jsonTextCallback(body: string, post: CallbackPost = {}): CallbackPost {
  const target = `${WEBHOOK_PATH}?bodySHA256=${getExpectedBodyHash(body)}`;
  return {
    parameters: {},
    body,
    target,
    signedUrl: PUBLIC_BASE_URL + target,
    contentType: 'application/json',
    ...post,
  };
}
