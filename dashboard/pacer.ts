const SHORTEST_PAUSE_MILLISECONDS = 1_000;

/** The service shall have at least nine tenths of its time for others, however long an answer takes it. */
const PAUSE_FOR_EACH_MILLISECOND = 10;

/** Does some work when asked to, never twice at a time, and with a pause after it. */
export class Pacer {
  private isWanted = false;
  private isRunning = false;
  private timer = 0;
  private notBefore = 0;

  constructor(private readonly work: () => Promise<void>) {}

  /** Soon: once the pause is over. */
  ask(): void {
    this.isWanted = true;
    this.schedule();
  }

  /** At once, because a person waits for it. */
  hurry(): void {
    this.notBefore = 0;
    this.ask();
  }

  /** Somebody may have asked meanwhile. */
  private goOn(): void {
    if (this.isWanted) this.schedule();
  }

  private schedule(): void {
    if (this.isRunning) return;
    clearTimeout(this.timer);
    const wait = Math.max(0, this.notBefore - performance.now());
    this.timer = setTimeout(() => void this.run(), wait);
  }

  private async run(): Promise<void> {
    this.isRunning = true;
    this.isWanted = false;
    const begin = performance.now();
    try {
      await this.work();
    } finally {
      const end = performance.now();
      this.notBefore =
        end + Math.max(SHORTEST_PAUSE_MILLISECONDS, PAUSE_FOR_EACH_MILLISECOND * (end - begin));
      this.isRunning = false;
      this.goOn();
    }
  }
}
