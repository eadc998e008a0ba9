/** The result of one doctor check. */
export interface Finding {
  /** The subject of the check, e.g. `database`. */
  readonly check: string;
  readonly ok: boolean;
  readonly found: string;
  /** What to do; null if all is well. */
  readonly advice: string | null;
}

export function well(check: string, found: string): Finding {
  return { check, ok: true, found, advice: null };
}

export function ill(check: string, found: string, advice: string): Finding {
  return { check, ok: false, found, advice };
}
