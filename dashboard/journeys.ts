import type { Journey, StoredEvent } from './answers.js';
import { ask, explain } from './api.js';
import { serviceClock } from './service-clock.js';

type Numbers = Pick<StoredEvent, 'to' | 'userId' | 'from'>;

/** The journey that is open, if one is. */
export class Journeys {
  sid: string | null = null;
  journey: Journey | null = null;
  problem: string | null = null;
  /** When the service answered, by its clock, in milliseconds since 1970. */
  answeredAt: number | null = null;
  /**
   * Unmasked numbers by event. Reloads fetch masked ones, so that the log has a line only when a person asked for
   * numbers.
   */
  private wholeNumbers: ReadonlyMap<string, Numbers> | null = null;

  /** Aborts the running request when a newer one starts, so that an old answer never replaces a newer one. */
  private asking = new AbortController();
  /** The request that the user waits for; never rejects. */
  private awaited: Promise<void> = Promise.resolve();

  constructor(private readonly changed: () => void) {}

  /** Resolves when the journey, or the problem, is shown. */
  async open(sid: string): Promise<void> {
    this.begin(sid);
    this.awaited = this.ask(sid, '');
    await this.awaited;
  }

  close(): void {
    this.begin(null);
  }

  /** Whether the open journey contains this message, as the original or as the SMS. */
  isAbout(sid: string): boolean {
    return [this.sid, this.journey?.messageSid, this.journey?.counterpart?.messageSid].includes(sid);
  }

  /**
   * Reloads, after the request that the user waits for. A missing answer does not reject. Nothing changes after an
   * abort.
   */
  async load(signal: AbortSignal): Promise<void> {
    await this.awaited;
    if (this.sid !== null && !signal.aborted) await this.ask(this.sid, '', signal);
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
      this.awaited = this.ask(this.sid, '?numbers=true');
      await this.awaited;
    }
  }

  numbersOf(event: StoredEvent): Numbers {
    return this.wholeNumbers?.get(event.id) ?? event;
  }

  private begin(sid: string | null): void {
    this.asking.abort();
    Object.assign(this, { sid, journey: null, problem: null, answeredAt: null, wholeNumbers: null });
    this.changed();
  }

  private async ask(sid: string, query: '' | '?numbers=true', wanted?: AbortSignal): Promise<void> {
    this.asking.abort();
    this.asking = new AbortController();
    const signal = AbortSignal.any([this.asking.signal, ...(wanted === undefined ? [] : [wanted])]);
    try {
      const path = `api/v1/messages/${encodeURIComponent(sid)}${query}`;
      this.journey = await ask<Journey>(path, { signal });
      this.answeredAt = serviceClock.now();
      this.problem = null;
      if (query !== '') this.wholeNumbers = numbersByEvent(this.journey);
    } catch (error) {
      if (signal.aborted) return;
      this.problem = explain(error);
    }
    this.changed();
  }
}

function numbersByEvent({ events, counterpart }: Journey): ReadonlyMap<string, Numbers> {
  return new Map([...events, ...(counterpart?.events ?? [])].map((event) => [event.id, event]));
}
