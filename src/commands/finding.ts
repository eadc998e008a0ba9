/** What a check of the doctor has found. */
export interface Finding {
  /** What was looked at, e.g. `database`. */
  readonly check: string;
  readonly ok: boolean;
  readonly found: string;
  /** What to do, where it is not well. */
  readonly advice: string | null;
}

export function well(check: string, found: string): Finding {
  return { check, ok: true, found, advice: null };
}

export function ill(check: string, found: string, advice: string): Finding {
  return { check, ok: false, found, advice };
}
