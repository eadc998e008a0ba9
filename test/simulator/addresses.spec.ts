import fc from 'fast-check';
import { silent } from '../../simulator/callback-plan.js';
import { TwilioSimulator } from '../../simulator/twilio-simulator.js';
import { clientOf } from './support.js';

const sms = { to: '+15551230000', from: '+15559870000', body: 'Hello' };

describe('The addresses of POST Messages', () => {
  let simulator: TwilioSimulator;

  beforeAll(async () => {
    simulator = await TwilioSimulator.start({
      callbackPlan: silent,
      refusedSenders: { '+15559990000': { code: 21606 } },
    });
  });
  beforeEach(() => {
    simulator.forget();
  });
  afterAll(() => simulator.close());

  const create = (message: Partial<Parameters<ReturnType<typeof clientOf>['messages']['create']>[0]>) =>
    clientOf(simulator).messages.create({ ...sms, ...message });

  const expectRefusal = async (message: Parameters<typeof create>[0], status: number, code: number) => {
    await expect(create(message)).rejects.toMatchObject({ status, code });
    expect(simulator.messages).toEqual([]);
  };

  describe('To', () => {
    it.each([
      ['+1 (555) 010-7001', '+15550107001'],
      ['1.555.010.7001', '+15550107001'],
      ['US.134912086553027', '+134912086553027'],
      ['CC.ENT.1a3b4c9d1e2f0', '+1349120'],
      ['CC.134x912086X', '+134912086'],
      ['US.Xx1349120', '+1349120'],
    ])('%s is read as %s, a stranger’s number or not', async (to, number) => {
      const { sid } = await create({ to });
      expect(await clientOf(simulator).messages(sid).fetch()).toMatchObject({ to: number });
      expect(simulator.messages).toMatchObject([{ to: number, parameters: { To: to } }]);
      expect(simulator.requests.at(0)?.parameters['To']).toBe(to);
    });

    it.each([
      'US.13491208655302741918',
      'CC.abc123',
      '+1555010XXXX',
      '1555010xxxx',
      '+1 (555) 010-****',
      '+1555010####',
      'XXXXXXX7001',
      'X5550107001',
      '+155501',
      'Ada',
    ])('%s is rejected with 21211', async (to) => {
      await expectRefusal({ to }, 400, 21211);
    });

    it('of any text becomes E.164 or is rejected', async () => {
      const text = fc.oneof(
        fc.string({ minLength: 1, maxLength: 24 }),
        fc.stringMatching(/^[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{5,20}$/),
        fc.stringMatching(/^\+?\d{3,12}[X*]{1,5}\d{0,3}$/),
      );
      await fc.assert(
        fc.asyncProperty(
          text.filter((to) => !to.includes(':')),
          async (to) => {
            const digits = to.replaceAll(/[^0-9]/g, '');
            const answer = await create({ to }).catch((error: unknown) => error);
            if (answer instanceof Error) expect(answer).toMatchObject({ code: 21211 });
            else expect(answer).toMatchObject({ to: `+${digits}` });
            if (digits.length < 7 || digits.length > 15) expect(answer).toBeInstanceOf(Error);
          },
        ),
        { numRuns: 60 },
      );
    });

    it('of a channel stays as it is', async () => {
      const to = 'whatsapp:US.13491208655302741918';
      expect(await create({ to, from: 'whatsapp:+14155238886' })).toMatchObject({ to });
    });

    it('decides about the magic numbers only after it is parsed', async () => {
      await expectRefusal({ to: '+1 500 555 0004' }, 400, 21610);
    });
  });

  describe('From', () => {
    it.each(['+15559870000', '12345', '123456', 'Clinic', 'My Clinic 2', 'A'])(
      '%s can be a sender',
      async (from) => {
        expect(await create({ from })).toMatchObject({ from, status: 'queued' });
      },
    );

    it.each([
      '+1 (555) 987-0000',
      '15559870000',
      '+0559870000',
      '+1555987XXXX',
      '1234',
      '1234567',
      ' ',
      '24 7',
      'Twelve chars',
      'Zahnärztin',
      'US.13491208655302741918',
    ])('%s is rejected with 21212', async (from) => {
      await expectRefusal({ from }, 400, 21212);
    });

    it.each([
      ['whatsapp:+15557770001', sms.to],
      [sms.from, 'whatsapp:+15551230000'],
      ['whatsapp:+15557770001', 'messenger:1555123'],
    ])('%s does not go with To %s: 21910', async (from, to) => {
      await expectRefusal({ from, to }, 400, 21910);
    });

    it('goes with any channel when a Messaging Service picks it', async () => {
      const messagingServiceSid = `MG${'1'.repeat(32)}`;
      const to = 'whatsapp:+15551230000';
      expect(await create({ from: undefined, messagingServiceSid, to })).toMatchObject({ to, from: null });
    });

    it('can be refused with any code, from the start or later', async () => {
      await expectRefusal({ from: '+15559990000' }, 400, 21606);
      simulator.refusedSenders.set(sms.from, { code: 21660 });
      simulator.refusedSenders.set('Clinic', { code: 20429, status: 429 });
      await expectRefusal({}, 400, 21660);
      await expectRefusal({ from: 'Clinic' }, 429, 20429);
      simulator.refusedSenders.delete(sms.from);
      expect(await create({})).toMatchObject({ from: sms.from });
    });

    it('can be a Messaging Service that is refused', async () => {
      const messagingServiceSid = `MG${'2'.repeat(32)}`;
      simulator.refusedSenders.set(messagingServiceSid, { code: 21703 });
      await expectRefusal({ from: undefined, messagingServiceSid }, 400, 21703);
    });
  });
});
