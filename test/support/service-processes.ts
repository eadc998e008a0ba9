import { type ServiceEnv, ServiceProcess } from './service-process.js';
import { until } from './until.js';

/** A service of two processes with a primary, all of which listen. `pid` and `signal` are the primary's. */
export async function startProcesses(env: ServiceEnv): Promise<ServiceProcess> {
  const service = await ServiceProcess.start({ PROCESSES: '2', ...env });
  await until('all processes to listen', () => {
    // The primary may know before the last one has told.
    const { processes } = service.lines.find(({ message }) => message === 'All processes listen') ?? {};
    return processes !== undefined && pidsOf(service).length === processes;
  });
  return service;
}

/** The ids of all processes that have listened, without the primary's, in the order in which they did. */
export function pidsOf(service: ServiceProcess): number[] {
  return service.lines.filter(({ message }) => message === 'Listening').map(({ pid }) => Number(pid));
}

/** The processes at the start: the first one is the one with the worker. */
export function pairOf(service: ServiceProcess): { worker: number; web: number } {
  const [worker, web] = pidsOf(service);
  if (worker === undefined || web === undefined) throw new Error('There are no two processes');
  return { worker, web };
}

/** Kills all of them, for a test that leaves jobs behind for which they would wait. None may have died before. */
export function killAll(service: ServiceProcess): void {
  for (const pid of [service.pid, ...pidsOf(service)]) process.kill(pid, 'SIGKILL');
}

/** Kills one, and waits for the primary to have another in its stead. */
export async function killAndReplace(service: ServiceProcess, pid: number): Promise<void> {
  const before = pidsOf(service).length;
  process.kill(pid, 'SIGKILL');
  await until('another process', () => pidsOf(service).length > before);
}
