import cluster from 'node:cluster';

/** Where the primary was killed, its processes end as by SIGTERM: nobody else would stop or replace them. */
export function endWithPrimary(): void {
  const { worker } = cluster;
  worker?.once('disconnect', () => {
    // Otherwise Node ends the process at once, with requests unanswered and jobs locked.
    worker.exitedAfterDisconnect = true;
    process.kill(process.pid, 'SIGTERM');
  });
}
