import type { Replica } from './replica.js';

/** The public origin of the service, as Twilio knows it. */
export const PUBLIC_BASE_URL = 'https://hooks.example.com';

export const WEBHOOK_URL = `${PUBLIC_BASE_URL}/api/webhooks/twilio/message-status#rc=5&rp=all`;

/** Spreads requests over the replicas that run, in turns. It learns of a replica's end only when its process ends. */
export class Balancer {
  #turn = 0;

  constructor(private readonly replicas: readonly Replica[]) {}

  /** The URL of a replica for a public one; of one that is down where none is up. */
  route(url: string): string {
    this.#turn += 1;
    const up = this.replicas.filter(({ isUp }) => isUp);
    const candidates = up.length > 0 ? up : this.replicas;
    const origin = candidates[this.#turn % candidates.length]?.origin ?? PUBLIC_BASE_URL;
    return url.replace(PUBLIC_BASE_URL, origin);
  }
}
