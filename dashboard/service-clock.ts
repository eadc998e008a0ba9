/** The service's time, as its answers tell it: a visitor's own clock may be hours wrong. */
export class ServiceClock {
  /** Of the visitor's clock. */
  private behindMilliseconds = 0;

  /** @param date the `Date` of an answer that has just come. */
  told(date: string | null): void {
    const at = Date.parse(date ?? '');
    if (!Number.isNaN(at)) this.behindMilliseconds = at - Date.now();
  }

  /** In milliseconds since 1970; the visitor's own before the first answer. */
  now(): number {
    return Date.now() + this.behindMilliseconds;
  }
}

export const serviceClock = new ServiceClock();
