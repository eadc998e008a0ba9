import type { Newest, StoredEvent } from './answers.js';
import { ask, explain, Problem } from './api.js';

/** A message that was found, with its newest event. */
export interface Found {
  readonly newest: StoredEvent;
  readonly messageSid: string;
}

const NEITHER =
  'This is neither a message SID (SM or MM and 32 hexadecimal digits), nor a telephone number with its country, e.g. +15551234567, nor a WhatsApp user ID, e.g. US.13491208655302741918.';

/** Finds a person's messages. Numbers and IDs stay out of URLs, which browsers remember and proxies log. */
export class Search {
  found: readonly Found[] | null = null;
  hasMore = false;
  problem: string | null = null;
  /** Aborted by the next search, so that an old answer never replaces a newer one. */
  private asking = new AbortController();

  constructor(private readonly changed: () => void) {}

  /**
   * @param name a number or a WhatsApp user ID as typed: the service validates it.
   * @returns the text to announce; null if another search began meanwhile, or the search was closed.
   */
  async byPerson(name: string): Promise<string | null> {
    const { signal } = this.begin();
    this.forget();
    try {
      const answer = await ask<Newest<StoredEvent>>('api/v1/message-events/search', {
        method: 'POST',
        body: { number: name, limit: 100 },
        signal,
      });
      this.found = newestOfEach(answer.items);
      this.hasMore = answer.nextCursor !== null;
      this.problem = null;
    } catch (error) {
      if (signal.aborted) return null;
      this.found = null;
      this.problem = error instanceof Problem && error.status === 400 ? NEITHER : explain(error);
    }
    this.changed();
    if (this.found === null) return '';
    return this.found.length === 1 ? '1 message found' : `${this.found.length} messages found`;
  }

  clear(): void {
    this.begin();
    this.forget();
  }

  hasFound(messageSid: string): boolean {
    return this.found?.some((message) => message.messageSid === messageSid) === true;
  }

  private forget(): void {
    this.found = null;
    this.problem = null;
    this.changed();
  }

  private begin(): AbortController {
    this.asking.abort();
    return (this.asking = new AbortController());
  }
}

/** @returns null for a text that is not a message SID. */
export function asMessageSid(text: string): string | null {
  const [, prefix, digits] = /^(SM|MM)([0-9a-f]{32})$/i.exec(text) ?? [];
  return prefix === undefined || digits === undefined ? null : prefix.toUpperCase() + digits.toLowerCase();
}

function newestOfEach(events: readonly StoredEvent[]): Found[] {
  const found = new Map<string, StoredEvent>();
  for (const event of events) {
    if (!found.has(event.messageSid)) found.set(event.messageSid, event);
  }
  return [...found].map(([messageSid, newest]) => ({ messageSid, newest }));
}
