import { readFileSync } from 'node:fs';

/** Bytes of memory that a process holds (VmRSS of /proc); NaN where there is no /proc. Source: proc(5). */
export function residentMemory(pid: number): number {
  try {
    const kibibytes = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Number(kibibytes) * 1024;
  } catch {
    return NaN;
  }
}
