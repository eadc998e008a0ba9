import { until } from '../support/until.js';

export interface ServerEvent {
  readonly type: string;
  readonly data: string;
}

/** Reads a stream of server-sent events, as a browser's EventSource does. */
export class EventStream {
  readonly events: ServerEvent[] = [];
  hasEnded = false;
  private readonly reading: Promise<void>;

  private constructor(
    response: Response,
    private readonly abort: AbortController,
    readonly status = response.status,
    readonly headers = response.headers,
  ) {
    this.reading = this.read(response);
  }

  static async open({ origin }: { readonly origin: string }, cookie: string): Promise<EventStream> {
    const abort = new AbortController();
    const response = await fetch(`${origin}/dashboard/events`, {
      headers: { Cookie: cookie, 'Sec-Fetch-Site': 'same-origin', Accept: 'text/event-stream' },
      signal: abort.signal,
    });
    return new EventStream(response, abort);
  }

  /** The situations that the page was told. */
  get situations(): { database: string; version: string }[] {
    return this.events
      .filter(({ type }) => type === 'situation')
      .map(({ data }) => JSON.parse(data) as { database: string; version: string });
  }

  async untilToldOf(database: 'up' | 'away', beyond = 0): Promise<void> {
    await until(`the page to be told that the database is ${database}`, () =>
      this.situations.slice(beyond).some((situation) => situation.database === database),
    );
  }

  async close(): Promise<void> {
    this.abort.abort();
    await this.reading;
  }

  private async read(response: Response): Promise<void> {
    const decoder = new TextDecoder();
    let text = '';
    try {
      for await (const chunk of response.body ?? []) {
        text += decoder.decode(chunk as Uint8Array, { stream: true });
        const blocks = text.split('\n\n');
        text = blocks.pop() ?? '';
        this.events.push(...blocks.map(parse));
      }
    } catch {
      // It was closed here, or cut off there.
    }
    this.hasEnded = true;
  }
}

function parse(block: string): ServerEvent {
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1] ?? '';
  return { type: field('event'), data: field('data') };
}
