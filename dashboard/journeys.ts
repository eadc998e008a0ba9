import type { Journey, StoredEvent } from './answers.js';
import { ask, explain } from './api.js';

type Numbers = Pick<StoredEvent, 'to' | 'from'>;

/** The journey that is open, if one is. */
export class Journeys {
  sid: string | null = null;
  journey: Journey | null = null;
  problem: string | null = null;
  /** By the event. What is asked for again is masked, so that the log has a line only when a person wanted numbers. */
  private wholeNumbers: ReadonlyMap<string, Numbers> | null = null;

  constructor(private readonly changed: () => void) {}

  /** Resolves when it is shown, or why it cannot be. */
  async open(sid: string): Promise<void> {
    Object.assign(this, { sid, journey: null, problem: null, wholeNumbers: null });
    this.changed();
    await this.load();
  }

  close(): void {
    Object.assign(this, { sid: null, journey: null, problem: null, wholeNumbers: null });
    this.changed();
  }

  /** Never rejects. */
  async load(): Promise<void> {
    if (this.sid !== null) await this.ask(this.sid, '');
  }

  get showsNumbers(): boolean {
    return this.wholeNumbers !== null;
  }

  async toggleNumbers(): Promise<void> {
    if (this.sid === null) return;
    if (this.showsNumbers) {
      this.wholeNumbers = null;
      this.changed();
    } else {
      await this.ask(this.sid, '?numbers=true');
    }
  }

  numbersOf(event: StoredEvent): Numbers {
    return this.wholeNumbers?.get(event.id) ?? event;
  }

  private async ask(sid: string, query: '' | '?numbers=true'): Promise<void> {
    try {
      const journey = await ask<Journey>(`/api/v1/messages/${encodeURIComponent(sid)}${query}`);
      // Another one was opened meanwhile.
      if (sid !== this.sid) return;
      this.journey = journey;
      this.problem = null;
      if (query !== '') this.wholeNumbers = numbersByEvent(journey);
    } catch (error) {
      if (sid !== this.sid) return;
      this.problem = explain(error);
    }
    this.changed();
  }
}

function numbersByEvent({ events, counterpart }: Journey): ReadonlyMap<string, Numbers> {
  return new Map([...events, ...(counterpart?.events ?? [])].map((event) => [event.id, event]));
}
