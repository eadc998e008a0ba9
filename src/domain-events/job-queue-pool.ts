import { type Notification, Pool, type PoolClient, type PoolConfig } from 'pg';

type Release = (error?: Error | boolean) => void;

/** There is nothing to release where there is an error. */
type Connected = (error: Error | undefined, client: PoolClient | undefined, release?: Release) => void;

/** The connections of graphile-worker. One that breaks is replaced, and never ends the process. */
export class JobQueuePool extends Pool {
  constructor(connection: PoolConfig) {
    super({ connectionTimeoutMillis: 4_000, ...connection });
    // Without a listener the error of a connection that breaks would be thrown. graphile-worker leaves it to whoever has
    // made the pool: https://github.com/graphile/worker/pull/510
    this.on('error', ignore);
    this.on('connect', (client) => {
      client.on('error', ignore);
      client.on('notification', disguiseMigration);
    });
  }

  /**
   * graphile-worker 0.17.3 releases a connection twice that breaks before its LISTEN is answered. The pool throws then, and
   * the rejection, which nobody handles, would end the process.
   */
  override connect(): Promise<PoolClient>;
  override connect(connected: Connected): void;
  override connect(connected?: Connected): Promise<PoolClient> | undefined {
    if (connected === undefined) return super.connect();
    super.connect((error, client, release?: Release) => {
      let released = false;
      connected(error, client, (problem) => {
        if (released) return;
        released = true;
        release?.(problem);
      });
    });
    return undefined;
  }
}

/**
 * graphile-worker ends when it hears of a migration, and the name of the channel has no schema: it would end because the
 * graphile-worker of an application in the same database was updated. This listener is the first one.
 * https://github.com/graphile/worker/pull/361
 */
function disguiseMigration(message: Notification): void {
  if (message.channel === 'worker:migrate') message.channel = 'another queue was migrated';
}

function ignore(): void {
  // The query that was under way fails, and tells whoever asked.
}
