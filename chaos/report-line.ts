/** Formats a line of a table: name, count, and a note. */
export function line(what: string, value: number | string, note = ''): string {
  return `  ${what.padEnd(64)}${String(value).padStart(9)} ${note}`.trimEnd();
}
