/** The service's time, taken from its answers: the visitor's clock may be hours off. */
export class ServiceClock {
  /** How far the visitor's clock is behind. */
  private behindMilliseconds = 0;

  /** @param date the `Date` header of an answer that just arrived. */
  told(date: string | null): void {
    const at = Date.parse(date ?? '');
    if (!Number.isNaN(at)) this.behindMilliseconds = at - Date.now();
  }

  /** Milliseconds since 1970; the visitor's own clock before the first answer. */
  now(): number {
    return Date.now() + this.behindMilliseconds;
  }
}

export const serviceClock = new ServiceClock();
