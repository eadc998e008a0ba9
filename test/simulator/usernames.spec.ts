import { whatsappStatusParameters } from '../../simulator/callback-parameters.js';
import { silent } from '../../simulator/callback-plan.js';
import { TwilioSimulator } from '../../simulator/twilio-simulator.js';
import { clientOf, Receiver } from './support.js';

const messageSid = 'SM00000000000000000000000000000001';

describe('A callback of a WhatsApp message', () => {
  let receiver: Receiver;
  let simulator: TwilioSimulator;

  beforeAll(async () => {
    receiver = await Receiver.start();
    simulator = await TwilioSimulator.start({ callbackPlan: silent });
  });
  afterAll(() => Promise.all([simulator.close(), receiver.close()]));

  it.each(['US.13491208655302741918', 'US.ENT.11815799212886844830', 'BR.2f0Ab9'])(
    'names a person without a visible number by the user ID %s',
    (userId) => {
      for (const to of [userId, `whatsapp:${userId}`]) {
        const callback = { messageSid, status: 'sent', to, from: '+14155238886' };
        const externalUserId = `whatsapp:${userId}`;
        expect(
          whatsappStatusParameters({ ...callback, externalUserId, parentExternalUserId: userId }),
        ).toMatchObject({
          To: `whatsapp:${userId}`,
          ChannelToAddress: userId,
          ExternalUserId: externalUserId,
          ParentExternalUserId: userId,
        });
        expect(whatsappStatusParameters(callback)).not.toHaveProperty('ExternalUserId');
      }
    },
  );

  it('names the person’s user IDs beside the number or in its place', async () => {
    const userId = 'whatsapp:US.13491208655302741918';
    const whatsapp = { to: 'whatsapp:+15551230000', from: 'whatsapp:+14155238886', body: 'Hello' };
    const more = { statusCallback: receiver.url, steps: [{ status: 'sent' }] };
    const ids = { externalUserId: userId, parentExternalUserId: 'US.ENT.11815799212886844830' };
    const first = simulator.sendWhatsapp({ ...whatsapp, ...more, ...ids });
    await simulator.settled();
    const second = simulator.sendWhatsapp({ ...whatsapp, ...more, to: userId });
    await simulator.settled();
    expect(receiver.received.map(({ parameters }) => parameters)).toMatchObject([
      { MessageSid: first.sid, To: whatsapp.to, ExternalUserId: userId },
      { MessageSid: second.sid, To: userId, ChannelToAddress: 'US.13491208655302741918' },
    ]);
    expect(await clientOf(simulator).messages(second.sid).fetch()).toMatchObject({ to: userId });
  });
});
