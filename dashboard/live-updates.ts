export type Connection = 'connecting' | 'live' | 'database_away' | 'interrupted';

export interface LiveUpdateListener {
  readonly onConnection: (connection: Connection) => void;
  /** Called when there may be something new. */
  readonly onChange: () => void;
}

const EVENTS = 'dashboard/events';

/** Three times the service's heartbeat interval. */
const SILENCE_MILLISECONDS = 60_000;

/** A browser reconnects when a stream ends, but gives up when it is refused. */
const REFUSED_PAUSE_MILLISECONDS = 5_000;

/** Rows that are committed out of order do not show up as new, and displayed ages grow. */
const ANYWAY_MILLISECONDS = 60_000;

/** Follows the service's stream while the page is visible: a browser has few connections per host. */
export class LiveUpdates {
  private source: EventSource | null = null;
  private timer = 0;

  constructor(private readonly listener: LiveUpdateListener) {}

  start(): void {
    document.addEventListener('visibilitychange', () => {
      this.close();
      if (document.visibilityState === 'visible') this.open();
    });
    setInterval(() => {
      if (document.visibilityState === 'visible') this.listener.onChange();
    }, ANYWAY_MILLISECONDS);
    this.open();
  }

  private open(): void {
    this.close();
    const source = new EventSource(EVENTS);
    this.source = source;
    this.openAgainAfter(SILENCE_MILLISECONDS);
    source.addEventListener('still_here', () => {
      this.openAgainAfter(SILENCE_MILLISECONDS);
    });
    source.addEventListener('situation', ({ data }: MessageEvent<string>) => {
      this.openAgainAfter(SILENCE_MILLISECONDS);
      const { database } = JSON.parse(data) as { database: 'up' | 'away' };
      this.listener.onConnection(database === 'up' ? 'live' : 'database_away');
      if (database === 'up') this.listener.onChange();
    });
    source.addEventListener('error', () => {
      this.listener.onConnection('interrupted');
      if (source.readyState !== EventSource.CLOSED) return;
      this.openAgainAfter(REFUSED_PAUSE_MILLISECONDS);
      // Finds out if the session has ended.
      this.listener.onChange();
    });
  }

  private close(): void {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  private openAgainAfter(milliseconds: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.open();
    }, milliseconds);
  }
}
