import type { Newest, StoredEvent } from './answers.js';
import { ask, explain } from './api.js';

/** One message that was found, with its newest event. */
export interface Found {
  readonly newest: StoredEvent;
  readonly messageSid: string;
}

/** What was found of a number. Numbers stay out of the address, which browsers remember. */
export class Search {
  found: readonly Found[] | null = null;
  hasMore = false;
  problem: string | null = null;
  /** Aborted by what comes after it, so that no answer comes in place of a later one. */
  private asking = new AbortController();

  constructor(private readonly changed: () => void) {}

  /** @returns what to announce; null where another search has come meanwhile, or it was closed. */
  async byNumber(number: string): Promise<string | null> {
    const { signal } = this.begin();
    try {
      const answer = await ask<Newest<StoredEvent>>(
        `/api/v1/message-events?number=${encodeURIComponent(number)}&limit=100`,
        { signal },
      );
      this.found = newestOfEach(answer.items);
      this.hasMore = answer.nextCursor !== null;
      this.problem = null;
    } catch (error) {
      if (signal.aborted) return null;
      this.found = null;
      this.problem = explain(error);
    }
    this.changed();
    if (this.found === null) return '';
    return this.found.length === 1 ? '1 message found' : `${this.found.length} messages found`;
  }

  clear(): void {
    this.begin();
    this.found = null;
    this.problem = null;
    this.changed();
  }

  private begin(): AbortController {
    this.asking.abort();
    return (this.asking = new AbortController());
  }
}

/** `+1 (555) 765-4321` and `0015557654321` → `+15557654321`. @returns null for what is no number. */
export function asNumber(text: string): string | null {
  if (!/^[+\d][\d\s().-]*$/.test(text)) return null;
  return `+${text.replace(/\D/g, '').replace(/^00/, '')}`;
}

function newestOfEach(events: readonly StoredEvent[]): Found[] {
  const found = new Map<string, StoredEvent>();
  for (const event of events) {
    if (!found.has(event.messageSid)) found.set(event.messageSid, event);
  }
  return [...found].map(([messageSid, newest]) => ({ messageSid, newest }));
}
