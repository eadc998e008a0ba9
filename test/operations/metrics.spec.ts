import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { seedFallback } from '../commands/ended-fallback.js';
import { addEvents, follow, followingOnDemand } from '../support/following.js';
import { TestApplication } from '../support/application.js';
import { DatabaseLine } from '../support/database-line.js';
import { policyFailure, untilAllIsDone } from '../support/fallbacks.js';
import { seedMessage } from '../support/seed.js';
import { createTestDatabase } from '../support/test-database.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { postCallback, statusParameters } from '../webhooks/post-callback.js';
import { callApi, withAdminKeys } from './api.js';

/** The samples, e.g. `{ 'jobs_waiting': 0, 'callbacks_total{channel="sms",…}': 2 }`. */
async function samplesOf(application: TestApplication): Promise<Record<string, number>> {
  const { status, text } = await callApi(application, '/metrics');
  expect(status).toBe(200);
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(
    lines.map((line) => {
      const [, name = '', value = ''] =
        /^(?:whatsapp_sms_fallback_)?(\S+(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
      return [name, Number(value)];
    }),
  );
}

describe('the metrics', () => {
  let application: TestApplication;
  let line: DatabaseLine;

  beforeAll(async () => {
    const database: DatabaseConnection = await createTestDatabase();
    line = await DatabaseLine.open(database);
    application = await TestApplication.start({
      env: withAdminKeys,
      database: line,
      override: followingOnDemand,
    });
  });

  afterAll(async () => {
    await application.close();
    await line.close();
  });

  it('are in the text format of Prometheus, with those of Node', async () => {
    const { headers, text } = await callApi(application, '/metrics');
    expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(text).toContain('# TYPE whatsapp_sms_fallback_callbacks_total counter');
    expect(text).toMatch(/^nodejs_eventloop_lag_p99_seconds /m);
  });

  it('count the callbacks by channel, status, and result, and unknown statuses as others', async () => {
    const parameters = statusParameters({ MessageStatus: 'sent' });
    await postCallback(application, { parameters });
    await postCallback(application, { parameters });
    await postCallback(application, { parameters: statusParameters({ MessageStatus: 'pondering' }) });
    await postCallback(application, { parameters: statusParameters({ MessageStatus: '' }) });
    await postCallback(application, { signature: 'forged' });
    const samples = await samplesOf(application);
    expect(samples).toMatchObject({
      'callbacks_total{channel="sms",status="sent",result="stored"}': 1,
      'callbacks_total{channel="sms",status="sent",result="repeated"}': 1,
      'callbacks_total{channel="sms",status="other",result="stored"}': 1,
      'callbacks_total{channel="",status="",result="rejected"}': 1,
      'callbacks_total{channel="",status="",result="refused"}': 1,
    });
    expect(samples.commit_events_sum).toBe(3);
  });

  it('measure requests by route and never by path', async () => {
    await callApi(application, '/api/v1/messages/SMnobody');
    await callApi(application, '/wp-login.php');
    const samples = await samplesOf(application);
    expect(samples).toMatchObject({
      'http_request_duration_seconds_count{route="api",method="GET",status="404"}': 1,
      'http_request_duration_seconds_count{route="other",method="GET",status="404"}': 1,
      'http_request_duration_seconds_count{route="webhook",method="POST",status="204"}': 3,
    });
    expect(JSON.stringify(samples)).not.toMatch(/SMnobody|wp-login/);
  });

  it('count the fallbacks by state and reason, and measure the time from the callback to the SMS', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    const homeless = await seedMessage(application.dataSource, { company: false });
    await policyFailure(application, twilioSid);
    await policyFailure(application, homeless.twilioSid);
    await untilAllIsDone(application, twilioSid);
    await untilAllIsDone(application, homeless.twilioSid);
    const samples = await samplesOf(application);
    expect(samples).toMatchObject({
      'fallbacks_ended_total{state="sent",reason=""}': 1,
      'fallbacks_ended_total{state="skipped",reason="conversation_without_company"}': 1,
      callback_to_sms_seconds_count: 1,
      'callback_to_sms_seconds_bucket{le="+Inf"}': 1,
    });
    expect(samples.callback_to_sms_seconds_sum).toBeGreaterThan(0);
  });

  it('report what is open, what is overdue, and what waits in the queue', async () => {
    const nextAttemptAt = minutesAgo(20);
    await seedFallback(application, {
      state: 'claimed',
      reason: 'twilio_unavailable',
      nextAttemptAt,
      lockedUntil: minutesAgo(-60),
    });
    await seedFallback(application, {
      state: 'uncertain',
      createdAt: minutesAgo(10),
      nextAttemptAt: minutesAgo(-60),
    });
    expect(await samplesOf(application)).toMatchObject({
      'fallbacks_open{state="claimed",reason="twilio_unavailable"}': 1,
      'fallbacks_open{state="uncertain",reason=""}': 1,
      fallbacks_overdue: 1,
      jobs_waiting: 0,
      oldest_job_age_seconds: 0,
      jobs_exhausted: 0,
      database_up: 1,
      'database_connections{state="waiting"}': 0,
    });
  });

  it('report the age of the oldest event that is not counted', async () => {
    await addEvents(
      application,
      `insert into message_events (message_sid, message_status, channel, account_sid, payload)
       values ('SMold', 'sent', 'sms', 'AC1', '{}')`,
    );
    await application.query(`update message_event_outbox set due_at = now() - interval '20 minutes'`);
    const { oldest_uncounted_event_age_seconds: age = 0 } = await samplesOf(application);
    expect(Math.floor(age / 60)).toBe(20);
    await follow(application);
    expect((await samplesOf(application)).oldest_uncounted_event_age_seconds).toBeLessThan(600);
  });

  it('still report on the process while the database is unreachable', async () => {
    line.cut();
    expect((await postCallback(application)).status).toBe(503);
    expect(await samplesOf(application)).toMatchObject({
      database_up: 0,
      'callbacks_total{channel="",status="",result="not_stored"}': 1,
    });
    line.mend();
    expect((await samplesOf(application)).database_up).toBe(1);
  });
});
