import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { SmsFallback } from '../../src/fallback/sms-fallback.entity.js';
import { TestApplication } from '../support/application.js';
import { policyFailure, recipientOf, smsFor, untilAllIsDone } from '../support/fallbacks.js';
import { seedMessage } from '../support/seed.js';

const TEMPLATE = `HX${'a1'.repeat(16)}`;

describe('the text of the SMS', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({
      simulator: {
        resources: {
          contents: [
            {
              sid: TEMPLATE,
              types: {
                'twilio/card': {
                  title: 'Your parcel is here',
                  media: ['https://example.com/parcel.png'],
                  actions: [
                    { type: 'URL', title: 'Track', url: 'https://example.com/track/{{2}}' },
                    { type: 'PHONE_NUMBER', title: 'Call', phone: '+15550001111' },
                  ],
                },
              },
            },
          ],
        },
      },
    });
    await application.query(
      'alter table messages add column content_sid text, add column content_variables jsonb',
    );
  });

  afterAll(() => application.close());

  function knownToTwilio(sid: string, body: string): void {
    application.twilio.addMessage({ sid, to: `whatsapp:${recipientOf(sid)}`, body });
  }

  async function fallBack(
    body: string | null,
    rendered: string | null,
  ): Promise<[text: string | undefined, fallback: SmsFallback]> {
    const { twilioSid } = await seedMessage(application.dataSource, { body });
    if (rendered !== null) knownToTwilio(twilioSid, rendered);
    await policyFailure(application, twilioSid);
    const fallback = await untilAllIsDone(application, twilioSid);
    return [smsFor(application, twilioSid)[0]?.body, fallback];
  }

  const unrendered = [
    'Hi {{1}}, your order {{2}} has shipped.',
    'Hi {{ first_name }}!',
    '{"1":"Ada","2":"4711"}',
    '["Ada", "4711"]',
    TEMPLATE,
  ];

  it.each(unrendered)('is what Twilio rendered if messages.body is %s', async (body) => {
    const [text] = await fallBack(body, 'Hi Ada, your order 4711 has shipped.');
    expect(text).toBe('Hi Ada, your order 4711 has shipped.');
  });

  it.each(unrendered)('is missing if Twilio has only %s', async (body) => {
    for (const rendered of [null, '', body]) {
      const [text, fallback] = await fallBack(body, rendered);
      expect(text).toBeUndefined();
      expect(fallback).toMatchObject({ state: 'skipped', reason: 'text_not_rendered', attempts: 0 });
    }
  });

  it('has no marks that WhatsApp would have rendered', async () => {
    const [text, fallback] = await fallBack('*Reminder*: _tomorrow_ at ~10~ 11:00', null);
    expect(text).toBe('Reminder: tomorrow at 10 11:00');
    expect(fallback.body).toBe(text);
  });

  it.each([
    ['GSM-7', 1, 'Your appointment is tomorrow.'],
    ['GSM-7', 2, 'a'.repeat(161)],
    ['UCS-2', 1, 'Grüße 👋'],
    ['UCS-2', 2, 'é👋'.repeat(30)],
  ])('is counted in %s as %i segments', async (encoding, segments, body) => {
    const [, fallback] = await fallBack(body, null);
    expect(fallback).toMatchObject({ encoding, segments, notCarriedOver: [] });
  });

  it('gets the link of a button, and what it lacks is recorded', async () => {
    const { twilioSid } = await seedMessage(application.dataSource, { body: 'Tap the button to track it.' });
    await application.query(
      `update messages set content_sid = $2, content_variables = '{"2": "4711"}' where twilio_sid = $1`,
      [twilioSid, TEMPLATE],
    );
    await policyFailure(application, twilioSid);
    const fallback = await untilAllIsDone(application, twilioSid);
    expect(smsFor(application, twilioSid)[0]?.body).toBe(
      'Tap the button to track it.\nhttps://example.com/track/4711',
    );
    expect(fallback.state).toBe('sent');
    expect([...fallback.notCarriedOver].sort()).toEqual(['buttons', 'media']);
  });

  it('lacks a link with unknown variables, which is recorded', async () => {
    const { twilioSid } = await seedMessage(application.dataSource, { body: 'Tap the button to track it.' });
    await application.query('update messages set content_sid = $2 where twilio_sid = $1', [
      twilioSid,
      TEMPLATE,
    ]);
    await policyFailure(application, twilioSid);
    const fallback = await untilAllIsDone(application, twilioSid);
    expect(smsFor(application, twilioSid)[0]?.body).toBe('Tap the button to track it.');
    expect(fallback.notCarriedOver).toContain('buttons');
  });

  it('lacks the template if Twilio does not know it, which is recorded', async () => {
    const { twilioSid } = await seedMessage(application.dataSource, { body: 'Tap the button.' });
    await application.query('update messages set content_sid = $2 where twilio_sid = $1', [
      twilioSid,
      `HX${'0'.repeat(32)}`,
    ]);
    await policyFailure(application, twilioSid);
    const fallback = await untilAllIsDone(application, twilioSid);
    expect(fallback).toMatchObject({ state: 'sent', notCarriedOver: ['template'] });
  });

  it('lacks a picture that Twilio counts', async () => {
    const { twilioSid } = await seedMessage(application.dataSource, { body: 'See the picture.' });
    application.twilio.addMessage({
      sid: twilioSid,
      to: `whatsapp:${recipientOf(twilioSid)}`,
      body: 'See the picture.',
      mediaCount: 1,
    });
    await policyFailure(application, twilioSid);
    expect(await untilAllIsDone(application, twilioSid)).toMatchObject({ notCarriedOver: ['media'] });
  });
});

describe('ORIGINAL_TEXT=twilio', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({ env: { ORIGINAL_TEXT: 'twilio' } });
  });

  afterAll(() => application.close());

  it.each([
    ['what Twilio rendered', 'Hi Ada', 'Hi Ada'],
    ['messages.body where Twilio has no text, e.g. with message redaction', '', 'From messages'],
    ['messages.body where Twilio’s is a template', 'Hi {{1}}', 'From messages'],
  ])('sends %s', async (_, rendered, expected) => {
    const { twilioSid } = await seedMessage(application.dataSource, { body: 'From messages' });
    application.twilio.addMessage({
      sid: twilioSid,
      to: `whatsapp:${recipientOf(twilioSid)}`,
      body: rendered,
    });
    await policyFailure(application, twilioSid);
    await untilAllIsDone(application, twilioSid);
    expect(smsFor(application, twilioSid)).toMatchObject([{ body: expected }]);
  });
});
