import type { Replica } from './replica.js';

/** The public origin of the service, as Twilio knows it. */
export const PUBLIC_BASE_URL = 'https://hooks.example.com';

export const WEBHOOK_URL = `${PUBLIC_BASE_URL}/api/webhooks/twilio/message-status#rc=5&rp=all`;

/** The URL of one replica. A request to it is not repeated and times out after a few seconds. */
export function webhookUrlOf({ name }: Replica): string {
  return `${PUBLIC_BASE_URL}/api/webhooks/twilio/message-status?replica=${name}#rc=0&tt=5000`;
}

/** Spreads requests over the running replicas in turn. It notices a replica's end only when its process ends. */
export class Balancer {
  #turn = 0;

  constructor(private readonly replicas: readonly Replica[]) {}

  /** Maps a public URL to that of a replica; to one that is down if none is up. */
  route(url: string): string {
    const asked = this.replicas.find(({ name }) => url.includes(`?replica=${name}`));
    if (asked !== undefined) return url.replace(PUBLIC_BASE_URL, asked.origin);
    this.#turn += 1;
    const up = this.replicas.filter(({ isUp }) => isUp);
    const candidates = up.length > 0 ? up : this.replicas;
    const origin = candidates[this.#turn % candidates.length]?.origin ?? PUBLIC_BASE_URL;
    return url.replace(PUBLIC_BASE_URL, origin);
  }
}
