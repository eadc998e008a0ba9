const SHORTEST_PAUSE_MILLISECONDS = 1_000;

/** The slowest answers mean that the service is down, and its return must be noticed. */
const LONGEST_PAUSE_MILLISECONDS = 60_000;

/** Leaves the service at least nine tenths of its time for others, however slow an answer is. */
const PAUSE_FOR_EACH_MILLISECOND = 10;

/** Runs some work on request, never concurrently, with a pause after each run. */
export class Pacer {
  private isWanted = false;
  private running: AbortController | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private notBefore = 0;

  /** @param work runs until its signal aborts. */
  constructor(private readonly work: (signal: AbortSignal) => Promise<void>) {}

  /** Requests a run after the current pause. */
  ask(): void {
    this.isWanted = true;
    this.schedule();
  }

  /** Starts a run at once, because a person waits for it, and aborts the one under way. */
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

  /** Starts the run that was requested meanwhile, if any. */
  private goOn(): void {
    if (this.isWanted) this.schedule();
  }
}

function pauseAfter(milliseconds: number): number {
  const pause = Math.max(SHORTEST_PAUSE_MILLISECONDS, PAUSE_FOR_EACH_MILLISECOND * milliseconds);
  return Math.min(pause, LONGEST_PAUSE_MILLISECONDS);
}
