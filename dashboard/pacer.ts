const SHORTEST_PAUSE_MILLISECONDS = 1_000;

/** Where answers take their longest, it is for want of a service. It comes back, and is asked then. */
const LONGEST_PAUSE_MILLISECONDS = 60_000;

/** The service shall have at least nine tenths of its time for others, however long an answer takes it. */
const PAUSE_FOR_EACH_MILLISECOND = 10;

/** Does some work when asked to, never twice at a time, and with a pause after it. */
export class Pacer {
  private isWanted = false;
  private running: AbortController | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private notBefore = 0;

  /** @param work what is to be done, until the signal says that nobody waits for it any more. */
  constructor(private readonly work: (signal: AbortSignal) => Promise<void>) {}

  /** Soon: once the pause is over. */
  ask(): void {
    this.isWanted = true;
    this.schedule();
  }

  /** At once, because a person waits for it: what is under way was begun for something else, and is given up. */
  hurry(): void {
    this.running?.abort();
    this.notBefore = 0;
    this.ask();
  }

  private schedule(): void {
    if (this.running !== null) return;
    clearTimeout(this.timer);
    const wait = Math.max(0, this.notBefore - performance.now());
    this.timer = setTimeout(() => void this.run(), wait);
  }

  private async run(): Promise<void> {
    this.isWanted = false;
    const { signal } = (this.running = new AbortController());
    const begin = performance.now();
    try {
      await this.work(signal);
    } finally {
      if (!signal.aborted) this.notBefore = performance.now() + pauseAfter(performance.now() - begin);
      this.running = null;
      this.goOn();
    }
  }

  /** Somebody may have asked meanwhile. */
  private goOn(): void {
    if (this.isWanted) this.schedule();
  }
}

function pauseAfter(milliseconds: number): number {
  const pause = Math.max(SHORTEST_PAUSE_MILLISECONDS, PAUSE_FOR_EACH_MILLISECOND * milliseconds);
  return Math.min(pause, LONGEST_PAUSE_MILLISECONDS);
}
