import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { seedFallback } from '../commands/ended-fallback.js';
import { TestApplication } from '../support/application.js';
import { recipientOf, smsFor, untilAllIsDone } from '../support/fallbacks.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { callApi, NAMED_ADMIN_KEY, withAdminKeys } from './api.js';

interface FallbackPage {
  items: { id: string; originalMessageSid: string; state: string; to: string; meaning: string }[];
  nextCursor: string | null;
}

const ROUTE = '/api/v1/fallbacks';

describe('the fallbacks', () => {
  let application: TestApplication;
  const sids: string[] = [];

  beforeAll(async () => {
    application = await TestApplication.start({ env: withAdminKeys });
    const rows = [
      { state: 'sent', smsMessageSid: 'SMsent1', sentAt: minutesAgo(99) },
      { state: 'skipped', reason: 'no_text' },
      { state: 'skipped', reason: 'conversation_without_company' },
      { state: 'failed', reason: 'rejected_by_twilio', lastErrorCode: '21610', attempts: 1 },
      { state: 'sent', smsMessageSid: 'SMsent2', sentAt: minutesAgo(95) },
    ] as const;
    for (const [index, row] of rows.entries()) {
      const createdAt = minutesAgo(100 - index);
      sids.push((await seedFallback(application, { ...row, createdAt })).twilioSid);
    }
  });

  afterAll(async () => {
    await application.close();
  });

  async function list(query: string): Promise<FallbackPage> {
    const answer = await callApi<FallbackPage>(application, `${ROUTE}?${query}`);
    expect(answer.status).toBe(200);
    return answer.body;
  }

  const indexesOf = ({ items }: FallbackPage) =>
    items.map(({ originalMessageSid }) => sids.indexOf(originalMessageSid));

  it('are listed by state, reason, number, and time, the newest first', async () => {
    expect(indexesOf(await list(''))).toEqual([4, 3, 2, 1, 0]);
    expect(indexesOf(await list('state=sent'))).toEqual([4, 0]);
    expect(indexesOf(await list('state=skipped&reason=no_text'))).toEqual([1]);
    expect(indexesOf(await list(`number=${encodeURIComponent(recipientOf(sids[3] ?? ''))}`))).toEqual([3]);
    const from = minutesAgo(97.5).toISOString();
    expect(indexesOf(await list(`from=${from}`))).toEqual([4, 3]);
    expect(indexesOf(await list(`to=${from}`))).toEqual([2, 1, 0]);
  });

  it('are only the overdue ones if the filter asks for that', async () => {
    const due = {
      state: 'claimed',
      reason: 'twilio_unavailable',
      attempts: 1,
      nextAttemptAt: minutesAgo(-1),
    } as const;
    const locked = { lockedUntil: minutesAgo(-10) };
    const late = await seedFallback(application, { ...due, ...locked, createdAt: minutesAgo(16) });
    const soon = await seedFallback(application, { ...due, ...locked, createdAt: minutesAgo(14) });
    const { items } = await list('overdue=true');
    expect(items.map(({ originalMessageSid }) => originalMessageSid)).toEqual([late.twilioSid]);
    await application.query('delete from sms_fallbacks where original_message_sid in ($1, $2)', [
      late.twilioSid,
      soon.twilioSid,
    ]);
  });

  it('are read page by page, each once', async () => {
    const seen: number[] = [];
    let after: string | null = '';
    while (after !== null) {
      const page: FallbackPage = await list(`limit=2${after === '' ? '' : `&cursor=${after}`}`);
      seen.push(...indexesOf(page));
      after = page.nextCursor;
    }
    expect(seen).toEqual([4, 3, 2, 1, 0]);
  });

  it('are shown with the meaning of their state, and with masked numbers and texts', async () => {
    const sid = sids[3] ?? '';
    const answer = await callApi(application, `${ROUTE}/${sid}`);
    expect(answer).toMatchObject({
      status: 200,
      body: {
        originalMessageSid: sid,
        state: 'failed',
        reason: 'rejected_by_twilio',
        errorCode: '21610',
        meaning: 'The person has opted out of your SMS. That is final.',
        to: `+*******${recipientOf(sid).slice(-4)}`,
        text: 'Your appointment is tomorrow at 10:00.',
        events: [],
      },
    });
    const byId = await callApi(application, `${ROUTE}/${String(answer.body.id)}?numbers=true`);
    expect(byId.body).toMatchObject({ originalMessageSid: sid, to: recipientOf(sid) });
  });

  describe('of a person with a WhatsApp username', () => {
    const USER_ID = 'MX.13491208655302741918';
    const NUMBER = '+525512345678';

    beforeAll(async () => {
      const duplicateOf = randomUUID();
      const person = { userId: USER_ID, parentUserId: 'MX.ENT.11815799212886844830' };
      await seedFallback(application, {
        ...{ state: 'sent', smsMessageSid: 'SMsecond', sentAt: minutesAgo(9), createdAt: minutesAgo(10) },
        ...{ toNumber: NUMBER, ...person, encoding: 'UCS-2', segments: 3, notCarriedOver: ['media'] },
        ...{ originalSentAt: minutesAgo(300), ageLimitIgnored: true },
        earlierAttempts: [
          {
            ...{ at: minutesAgo(9.5).toISOString(), from: '+15550001111', messagingServiceSid: null },
            ...{ outcome: 'never_sent', code: '30001', smsMessageSid: 'SMfirst' },
          },
        ],
      });
      await seedFallback(application, {
        ...{ state: 'skipped', reason: 'duplicate_of', duplicateOf, createdAt: minutesAgo(9) },
        ...{ toNumber: null, ...person },
      });
    });

    afterAll(() => application.query('delete from sms_fallbacks where user_id = $1', [USER_ID]));

    it.each([NUMBER, '+5215512345678', USER_ID, `whatsapp:${USER_ID}`, 'MX.ENT.11815799212886844830'])(
      'are found by %s',
      async (name) => {
        const { items } = await list(`number=${encodeURIComponent(name)}`);
        expect(items.map(({ state }) => state)).toEqual(['skipped', 'sent']);
      },
    );

    it.each(['nobody', '0170 1234567', 'MX.'])('are not looked for by %j', async (name) => {
      const answer = await callApi(application, `${ROUTE}?number=${encodeURIComponent(name)}`);
      expect(answer.status).toBe(400);
      expect(answer.text).toContain('a number with its country, e.g. +15551234567, or a WhatsApp user ID');
    });

    it('are shown with earlier attempts, what was left out, and the size of the SMS', async () => {
      const { items } = await list(`number=${USER_ID}`);
      expect(items).toMatchObject([
        {
          ...{ to: null, userId: 'MX.****************1918', duplicateOf: expect.any(String) as unknown },
          ...{ earlierAttempts: [], encoding: null, segments: null, notCarriedOver: [] },
          ...{ originalSentAt: null, ageLimitIgnored: false },
          meaning: 'Another SMS with the same text went to this person shortly before.',
        },
        {
          ...{ to: '+********5678', userId: 'MX.****************1918', duplicateOf: null },
          ...{ encoding: 'UCS-2', segments: 3, notCarriedOver: ['media'], ageLimitIgnored: true },
          originalSentAt: expect.stringMatching(/^\d{4}-.*Z$/) as unknown,
          earlierAttempts: [
            {
              ...{ at: expect.any(String) as unknown, from: '+*******1111', messagingServiceSid: null },
              ...{ outcome: 'never_sent', code: '30001', smsMessageSid: 'SMfirst' },
            },
          ],
        },
      ]);
      const whole = await list(`number=${USER_ID}&numbers=true`);
      expect(whole.items).toMatchObject([
        { to: null, userId: USER_ID },
        { to: NUMBER, userId: USER_ID, earlierAttempts: [{ from: '+15550001111' }] },
      ]);
    });
  });

  it('are answered 404 if none matches', async () => {
    expect((await callApi(application, `${ROUTE}/SMnone`)).status).toBe(404);
    expect((await callApi(application, `${ROUTE}/SMnone/retry`, { method: 'POST' })).status).toBe(404);
  });

  it('answer 400 to an unknown state', async () => {
    expect((await callApi(application, `${ROUTE}?state=lost`)).status).toBe(400);
  });
});

describe('a retry of a fallback', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({ env: withAdminKeys });
  });

  afterAll(async () => {
    await application.close();
  });

  function retry(name: string) {
    return callApi(application, `${ROUTE}/${name}/retry`, { method: 'POST' });
  }

  it('sends its one SMS, however many ask at the same time', async () => {
    const { twilioSid } = await seedFallback(application, {
      ...{ state: 'skipped', reason: 'no_sender_number', createdAt: minutesAgo(30) },
    });
    const answers = await Promise.all(Array.from({ length: 8 }, () => retry(twilioSid)));
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(202));
    expect(answers.filter(({ body }) => body.decision === 'claimed_again')).toHaveLength(1);
    expect(await untilAllIsDone(application, twilioSid)).toMatchObject({ state: 'sent' });
    expect(smsFor(application, twilioSid)).toHaveLength(1);
    expect((await retry(twilioSid)).body).toMatchObject({
      decision: 'sent_before',
      meaning: 'its SMS was sent before: nothing is sent',
    });
    expect(smsFor(application, twilioSid)).toHaveLength(1);
  });

  it('sends an SMS that is too late only on request', async () => {
    const row = { state: 'skipped', reason: 'too_late', originalSentAt: minutesAgo(300) } as const;
    const { twilioSid } = await seedFallback(application, row);
    expect((await retry(twilioSid)).body).toMatchObject({ decision: 'too_late' });
    expect((await callApi(application, `${ROUTE}/${twilioSid}`)).body).toMatchObject({ state: 'skipped' });
    const answer = await callApi(application, `${ROUTE}/${twilioSid}/retry?ignoreAge=true`, {
      method: 'POST',
    });
    expect(answer.body).toMatchObject({ decision: 'claimed_again' });
    expect(await untilAllIsDone(application, twilioSid)).toMatchObject({
      state: 'sent',
      ageLimitIgnored: true,
    });
    expect(smsFor(application, twilioSid)).toHaveLength(1);
  });

  it.each([
    ['21610', 'opted_out', 'opted out of SMS, which is final'],
    ['21614', 'recipient_rejected', 'cannot receive SMS'],
  ])('is refused after %s, whatever the request says', async (lastErrorCode, decision, meaning) => {
    const row = { state: 'failed', reason: 'rejected_by_twilio', attempts: 1, lastErrorCode } as const;
    const { twilioSid } = await seedFallback(application, { ...row, createdAt: minutesAgo(30) });
    for (const query of ['', '?ignoreAge=true']) {
      const { body } = await callApi(application, `${ROUTE}/${twilioSid}/retry${query}`, { method: 'POST' });
      expect(body).toMatchObject({ decision, meaning: expect.stringContaining(meaning) as unknown });
    }
    expect((await callApi(application, `${ROUTE}/${twilioSid}`)).body).toMatchObject({
      state: 'failed',
      isRetryable: false,
      retriedBy: null,
    });
    expect(smsFor(application, twilioSid)).toEqual([]);
  });

  it('records the name of the key in the row and in the log, and no key', async () => {
    const { twilioSid } = await seedFallback(application, {
      ...{ state: 'skipped', reason: 'no_sender_number', createdAt: minutesAgo(30) },
    });
    expect((await callApi(application, `${ROUTE}/${twilioSid}`)).body).toMatchObject({
      isRetryable: true,
      retriedBy: null,
    });
    await callApi(application, `${ROUTE}/${twilioSid}/retry`, {
      method: 'POST',
      authorization: `Bearer ${NAMED_ADMIN_KEY}`,
    });
    expect(await untilAllIsDone(application, twilioSid)).toMatchObject({ retriedBy: 'key:alice' });
    const journey = await callApi(application, `/api/v1/messages/${twilioSid}`);
    expect(journey.body).toMatchObject({ fallback: { retriedBy: 'key:alice' } });
    const about = (message: string) =>
      application.logs.lines.filter(
        (line) => line.message === message && JSON.stringify(line.fields).includes(twilioSid),
      );
    expect(about('A fallback was asked to be tried again')).toMatchObject([{ fields: [{ key: 'alice' }] }]);
    expect(about('SMS fallback sent')).toMatchObject([{ fields: [{ retriedBy: 'key:alice' }] }]);
    expect(JSON.stringify(application.logs.lines)).not.toContain(NAMED_ADMIN_KEY);
  });

  it('needs a key', async () => {
    const { twilioSid } = await seedFallback(application, { state: 'skipped', reason: 'no_sender_number' });
    const answer = await callApi(application, `${ROUTE}/${twilioSid}/retry`, {
      method: 'POST',
      authorization: null,
    });
    expect(answer.status).toBe(401);
    expect((await callApi(application, `${ROUTE}/${twilioSid}`)).body).toMatchObject({ state: 'skipped' });
  });
});
