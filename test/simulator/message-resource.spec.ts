import { silent } from '../../simulator/callback-plan.js';
import { demoAccount } from '../../simulator/demo-account.js';
import { TwilioSimulator } from '../../simulator/twilio-simulator.js';
import { clientOf } from './support.js';

const sms = { to: '+15550107001', from: '+15559870000', body: 'Hello' };
const content = {
  sid: `HX${'1'.repeat(32)}`,
  types: {
    'twilio/call-to-action': {
      body: 'Hi {{1}}',
      actions: [{ type: 'URL', title: 'Open', url: 'https://example.com/{{1}}' }],
    },
  },
  variables: { '1': 'Ada' },
};

describe('An answer of the API of the simulator', () => {
  let simulator: TwilioSimulator;

  beforeAll(async () => {
    simulator = await TwilioSimulator.start({ callbackPlan: silent, resources: { contents: [content] } });
  });
  beforeEach(() => {
    simulator.forget();
    simulator.redaction = 'none';
  });
  afterAll(() => simulator.close());

  describe('with message redaction', () => {
    it.each([
      ['none', { to: '+15550107001', body: 'Hello' }],
      ['numbers', { to: '+1555010XXXX', body: 'Hello' }],
      ['bodies', { to: '+15550107001', body: '' }],
      ['both', { to: '+1555010XXXX', body: '' }],
    ] as const)(
      'of %s hides the configured parts, in one message and in the list',
      async (redaction, shown) => {
        simulator.redaction = redaction;
        const { sid } = await clientOf(simulator).messages.create(sms);
        const expected = { sid, from: sms.from, ...shown };
        expect(await clientOf(simulator).messages(sid).fetch()).toMatchObject(expected);
        expect(await clientOf(simulator).messages.list({ from: sms.from })).toMatchObject([expected]);
        expect(simulator.messages).toMatchObject([{ to: sms.to, body: sms.body }]);
      },
    );

    it.each(['numbers', 'both'] as const)('of %s finds nothing by To', async (redaction) => {
      await clientOf(simulator).messages.create(sms);
      expect(await clientOf(simulator).messages.list({ to: sms.to })).toHaveLength(1);
      simulator.redaction = redaction;
      expect(await clientOf(simulator).messages.list({ to: sms.to })).toEqual([]);
      expect(await clientOf(simulator).messages.list({ to: '+1555010XXXX' })).toEqual([]);
    });

    it('hides the person’s number on WhatsApp and of an incoming message, and no user ID', async () => {
      simulator.redaction = 'numbers';
      const userId = 'whatsapp:US.13491208655302741918';
      simulator.addMessage({ to: 'whatsapp:+15550107001', from: 'whatsapp:+14155238886' });
      simulator.addMessage({ to: userId, from: 'whatsapp:+14155238886' });
      simulator.addMessage({ to: '+15559870000', from: '+15550107001', direction: 'inbound' });
      const listed = await clientOf(simulator).messages.list();
      expect(listed.map(({ to, from, direction }) => [direction, from, to]).toSorted()).toEqual([
        ['inbound', '+1555010XXXX', '+15559870000'],
        ['outbound-api', 'whatsapp:+14155238886', 'whatsapp:+1555010XXXX'],
        ['outbound-api', 'whatsapp:+14155238886', userId],
      ]);
    });
  });

  describe('of a message sent earlier', () => {
    const dateCreated = new Date('2026-03-01T10:00:00Z');
    const dateSent = new Date('2026-03-01T20:00:00Z');

    it('has the given dates, for WhatsApp too', async () => {
      const added = simulator.addMessage({ ...sms, dateCreated, dateSent });
      const whatsapp = simulator.sendWhatsapp({
        to: 'whatsapp:+15550107001',
        from: 'whatsapp:+14155238886',
        body: 'Hello',
        dateCreated,
        dateSent,
      });
      await simulator.settled();
      for (const { sid } of [added, whatsapp]) {
        expect(await clientOf(simulator).messages(sid).fetch()).toMatchObject({ dateCreated, dateSent });
      }
    });

    it('has a creation date no later than its sending', async () => {
      const { sid } = simulator.addMessage({ ...sms, dateSent });
      expect(await clientOf(simulator).messages(sid).fetch()).toMatchObject({
        dateCreated: dateSent,
        dateSent,
      });
    });

    it('has the number of its media', async () => {
      const { sid } = simulator.addMessage({ ...sms, mediaCount: 2 });
      expect(await clientOf(simulator).messages(sid).fetch()).toMatchObject({ numMedia: '2' });
    });
  });

  it.each([
    ['160 characters of GSM-7', 'x'.repeat(160), '1'],
    ['161 characters of GSM-7', 'x'.repeat(161), '2'],
    ['80 characters that take two each, and one', '€'.repeat(80) + 'x', '2'],
    ['70 characters of UCS-2', 'ж'.repeat(70), '1'],
    ['71 characters of UCS-2', 'ж'.repeat(71), '2'],
    ['no text', '', '1'],
  ])('counts the segments of %s as Twilio does', async (_what, body, numSegments) => {
    const { sid } = simulator.addMessage({ ...sms, body });
    expect(await clientOf(simulator).messages(sid).fetch()).toMatchObject({ numSegments });
  });

  it('counts a WhatsApp message as one segment', async () => {
    const { sid } = simulator.addMessage({ to: 'whatsapp:+1', from: 'whatsapp:+2', body: 'x'.repeat(500) });
    expect(await clientOf(simulator).messages(sid).fetch()).toMatchObject({ numSegments: '1' });
  });

  it('is a content template, of the account that asks', async () => {
    expect(await clientOf(simulator).content.v1.contents(content.sid).fetch()).toMatchObject({
      ...content,
      accountSid: demoAccount.sid,
    });
  });

  it('is 20404 for an unknown content template, and 20003 for an unknown account', async () => {
    const unknown = clientOf(simulator).content.v1.contents(`HX${'2'.repeat(32)}`);
    await expect(unknown.fetch()).rejects.toMatchObject({ status: 404, code: 20404 });
    const stranger = clientOf(simulator, { ...demoAccount, authToken: 'wrong' });
    await expect(stranger.content.v1.contents(content.sid).fetch()).rejects.toMatchObject({ code: 20003 });
  });
});
