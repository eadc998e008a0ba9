import { readFileSync } from 'node:fs';

/** Returns the memory of a process in bytes (VmRSS of /proc); NaN without /proc. Source: proc(5). */
export function residentMemory(pid: number): number {
  try {
    const kibibytes = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Number(kibibytes) * 1024;
  } catch {
    return NaN;
  }
}
