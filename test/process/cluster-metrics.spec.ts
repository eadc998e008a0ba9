import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import { TwilioSimulator } from '../../simulator/twilio-simulator.js';
import { callApi, withAdminKeys } from '../operations/api.js';
import { seedMessage } from '../support/seed.js';
import { createServiceDatabase, type ServiceDatabase } from '../support/service-database.js';
import { endServices, type ServiceProcess } from '../support/service-process.js';
import { killAll, killAndReplace, pairOf, startProcesses } from '../support/service-processes.js';
import { describeOnServer } from '../support/test-database.js';
import { until } from '../support/until.js';
import { postCallback, statusParameters } from '../webhooks/post-callback.js';

const CALLBACKS = 8;
const LAG = 'nodejs_eventloop_lag_p99_seconds';
const STORED = 'whatsapp_sms_fallback_callbacks_total{channel="sms",status="sent",result="stored"}';

// The embedded database serves one process.
describeOnServer('the metrics of a service of several processes', () => {
  let database: ServiceDatabase;
  let twilio: TwilioSimulator;
  let service: ServiceProcess;

  beforeEach(async () => {
    database = await createServiceDatabase();
    twilio = await TwilioSimulator.start();
    service = await startProcesses({
      ...database.env,
      ...withAdminKeys,
      TWILIO_API_BASE_URL: twilio.baseUrl,
      STATUS_POLL_AFTER_MINUTES: '0',
    });
    for (let callbacks = 0; callbacks < CALLBACKS; callbacks += 1) {
      expect((await postCallback(service)).status).toBe(204);
    }
  });

  afterEach(async () => {
    await endServices();
    await twilio.close();
    await database.remove();
  });

  /** The samples that one process tells; whichever has this connection. */
  async function samples(): Promise<Map<string, number>> {
    const { status, text } = await callApi(service, '/metrics');
    expect(status).toBe(200);
    const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    return new Map(
      lines.map((line) => {
        const space = line.lastIndexOf(' ');
        return [line.slice(0, space), Number(line.slice(space + 1))];
      }),
    );
  }

  it('are the sum of what each has counted, whichever is asked, and what the database says once', async () => {
    twilio.failNext({ on: 'create', times: Infinity, fault: { type: 'hangBeforeAccepting' } });
    const { twilioSid } = await database.use((dataSource) => seedMessage(dataSource));
    await postCallback(service, {
      parameters: {
        ...statusParameters(),
        MessageSid: twilioSid,
        MessageStatus: 'undelivered',
        ErrorCode: '63049',
        From: 'whatsapp:+15550001111',
        To: 'whatsapp:+15557654321',
      },
    });
    await until('the SMS to be on its way', () => twilio.requests.some(({ method }) => method === 'POST'));
    for (const each of await Promise.all([samples(), samples(), samples(), samples()])) {
      expect(each.get(STORED)).toBe(CALLBACKS);
      expect(each.get('whatsapp_sms_fallback_commit_events_sum')).toBe(CALLBACKS + 1);
      expect(each.get('whatsapp_sms_fallback_fallbacks_open{state="sending",reason=""}')).toBe(1);
      expect(each.get('whatsapp_sms_fallback_database_up')).toBe(1);
      expect(each.get('process_resident_memory_bytes')).toBeGreaterThan(0);
    }
    killAll(service);
  });

  it('tell the lag of the process that was blocked, however well the others are', async () => {
    // The lag is that since the metrics were asked for last.
    await samples();
    const { web } = pairOf(service);
    process.kill(web, 'SIGSTOP');
    await delay(1_000);
    process.kill(web, 'SIGCONT');
    // It may answer before it notices how late it is; then the next answer tells.
    await until('the lag to be told', async () => ((await samples()).get(LAG) ?? 0) > 0.9);
  });

  it('do not fall when a process dies', async () => {
    expect((await samples()).get(STORED)).toBe(CALLBACKS);
    const { worker, web } = pairOf(service);
    await killAndReplace(service, web);
    expect((await samples()).get(STORED)).toBe(CALLBACKS);
    await killAndReplace(service, worker);
    expect((await samples()).get(STORED)).toBe(CALLBACKS);
    expect((await postCallback(service)).status).toBe(204);
    expect((await samples()).get(STORED)).toBe(CALLBACKS + 1);
  });

  it('do not fall, and come in time, while a process does not answer', async () => {
    expect((await samples()).get(STORED)).toBe(CALLBACKS);
    const { web } = pairOf(service);
    process.kill(web, 'SIGSTOP');
    const before = Date.now();
    // The primary may give a connection to the one that is stopped.
    const asked = [samples(), samples(), samples()];
    const first = await Promise.any(asked);
    expect(first.get(STORED)).toBe(CALLBACKS);
    expect(Date.now() - before).toBeLessThan(10_000);
    process.kill(web, 'SIGCONT');
    await Promise.all(asked);
  });
});
