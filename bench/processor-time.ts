import { readdirSync, readFileSync } from 'node:fs';

/** The tick of /proc, independent of the kernel's own tick. Source: proc(5), sysconf(_SC_CLK_TCK). */
const TICK_MICROSECONDS = 10_000;

/** A process in /proc: its parent, and its used microseconds, including its threads. */
interface ProcessTime {
  readonly parent: number;
  readonly own: number;
  /** The microseconds of its ended children. */
  readonly ended: number;
}

/**
 * Returns the processor time of a process and its children, in microseconds; NaN without /proc. A busy machine affects
 * it much less than the rate of callbacks.
 */
export function processorTime(pid: number): number {
  const parent = read(pid);
  if (parent === undefined) return NaN;
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => read(Number(name)))
    .filter((child) => child?.parent === pid);
  return children.reduce((sum, child) => sum + (child?.own ?? 0), parent.own + parent.ended);
}

function read(pid: number): ProcessTime | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The program's name is in brackets and may have spaces in it. After it: the fields from the third one on.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = (number: number) => Number(fields[number - 3]) * TICK_MICROSECONDS;
    return { parent: Number(fields[1]), own: ticks(14) + ticks(15), ended: ticks(16) + ticks(17) };
  } catch {
    return undefined;
  }
}

/** Returns the memory of a process in bytes (VmRSS of /proc); NaN without /proc. Source: proc(5). */
export function residentMemory(pid: number): number {
  try {
    const kibibytes = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Number(kibibytes) * 1024;
  } catch {
    return NaN;
  }
}
