import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { smsStatusParameters } from '../../simulator/callback-parameters.js';
import { TwilioSimulator } from '../../simulator/twilio-simulator.js';
import { PUBLIC_BASE_URL, WEBHOOK_URL } from '../support/application.js';
import { createInFolder, type ServiceDatabase } from '../support/service-database.js';
import { endServices, requiredEnv, ServiceProcess } from '../support/service-process.js';
import { until } from '../support/until.js';

const ACKNOWLEDGED_AT_LEAST = 300;

describe('a service on an embedded database in a folder', () => {
  let database: ServiceDatabase;
  let twilio: TwilioSimulator;
  let service: ServiceProcess;

  beforeEach(async () => {
    database = await createInFolder();
    twilio = await TwilioSimulator.start({
      rewriteUrl: (url) => url.replace(PUBLIC_BASE_URL, service.origin),
      keepConnectionsOpen: true,
    });
    service = await ServiceProcess.start({ ...database.env, LOG_LEVEL: 'log' });
  });

  afterEach(async () => {
    await endServices();
    await twilio.close();
    await database.remove();
  });

  /** Sends callbacks, 20 at a time, until answers stop. @returns the SIDs that were acknowledged. */
  function sendUntilItIsKilled(): { acknowledged: Set<string>; ended: Promise<unknown> } {
    const acknowledged = new Set<string>();
    let next = 0;
    const send = async (): Promise<void> => {
      for (;;) {
        next += 1;
        const messageSid = `SMload${next}`;
        const parameters = smsStatusParameters({
          messageSid,
          status: 'sent',
          to: '+15557654321',
          from: '+15550001111',
        });
        const answer = await twilio.sendCallback({ url: WEBHOOK_URL, parameters });
        if (answer.status !== 204) throw new Error(`Answered with ${answer.status}`);
        acknowledged.add(messageSid);
      }
    };
    return { acknowledged, ended: Promise.allSettled(Array.from({ length: 20 }, send)) };
  }

  it('keeps every callback that it acknowledged before it was killed, and restarts in the same folder', async () => {
    const { acknowledged, ended } = sendUntilItIsKilled();
    await until('callbacks to be acknowledged', () => acknowledged.size >= ACKNOWLEDGED_AT_LEAST);
    service.signal('SIGKILL');
    expect(await service.ended).toEqual({ code: null, signal: 'SIGKILL' });
    await ended;
    service = await ServiceProcess.start(database.env);
    const answer = await twilio.sendCallback({
      url: WEBHOOK_URL,
      parameters: smsStatusParameters({
        messageSid: 'SMafter',
        status: 'sent',
        to: '+15557654321',
        from: '+15550001111',
      }),
    });
    expect(answer.status).toBe(204);
    service.signal('SIGTERM');
    await service.ended;
    const rows = await database.use((dataSource) =>
      dataSource.query<{ sid: string }[]>('select message_sid as sid from message_events'),
    );
    const kept = new Set(rows.map(({ sid }) => sid));
    expect([...acknowledged, 'SMafter'].filter((sid) => !kept.has(sid))).toEqual([]);
  });

  it('refuses a second process on the folder with a clear message, and goes on', async () => {
    const second = ServiceProcess.run('main', { ...requiredEnv, ...database.env, PORT: '0' });
    expect(await second.ended).toEqual({ code: 1, signal: null });
    expect(second.output).toBe(
      `✖ The embedded database in ${database.env.EMBEDDED_DATA_DIR ?? ''} is in use by another process.\n` +
        'Stop that process, name another folder in EMBEDDED_DATA_DIR, or set DATABASE_URL to a PostgreSQL server, which serves many.\n',
    );
    expect((await fetch(`${service.origin}/health/ready`)).status).toBe(200);
  });
});
