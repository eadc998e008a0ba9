import {
  concurrent,
  delivered,
  dropped,
  inOrder,
  neverSent,
  paced,
  repeated,
  reversed,
  sequence,
  shuffled,
  silent,
} from '../../simulator/callback-plan.js';
import { demoAccount } from '../../simulator/demo-account.js';
import { TwilioSimulator } from '../../simulator/twilio-simulator.js';
import { clientOf, isSigned, Receiver } from './support.js';

const sms = { to: '+15551230000', from: '+15559870000', body: 'Hello' };
const whatsapp = { to: 'whatsapp:+15551230000', from: 'whatsapp:+14155238886', body: 'Hello' };
const failing = inOrder(
  { status: 'sent' },
  { status: 'undelivered', errorCode: 30003, errorMessage: 'Unreachable' },
);

describe('The callbacks of a message', () => {
  let receiver: Receiver;
  let simulator: TwilioSimulator;

  beforeEach(async () => {
    receiver = await Receiver.start();
    simulator = await TwilioSimulator.start({ retryPauseMilliseconds: 0 });
  });
  afterEach(() => Promise.all([simulator.close(), receiver.close()]));

  const create = (more: { to?: string; messagingServiceSid?: string; statusCallback?: string } = {}) =>
    clientOf(simulator).messages.create({ ...sms, statusCallback: receiver.url, ...more });

  it('are sent and delivered by default, signed, with the SID of the message', async () => {
    const { sid } = await create({ statusCallback: `${receiver.url}?fallback=1#rc=5&rp=all` });
    await simulator.settled();
    expect(receiver.statuses).toEqual(['sent', 'delivered']);
    for (const received of receiver.received) {
      expect(received.parameters).toMatchObject({ MessageSid: sid, To: sms.to, From: sms.from });
      expect(isSigned(received, `${receiver.url}?fallback=1`)).toBe(true);
    }
  });

  it('begin with queued for a Messaging Service, which picks a sender', async () => {
    const messagingServiceSid = 'MG00000000000000000000000000000001';
    await clientOf(simulator).messages.create({
      to: sms.to,
      body: 'Hi',
      messagingServiceSid,
      statusCallback: receiver.url,
    });
    await simulator.settled();
    expect(receiver.statuses).toEqual(['queued', 'sent', 'delivered']);
    expect(receiver.received[0]?.parameters).toMatchObject({
      MessagingServiceSid: messagingServiceSid,
      From: '+15005550006',
    });
  });

  it('are not sent for a message without a StatusCallback, whose status still changes', async () => {
    const { sid } = await clientOf(simulator).messages.create(sms);
    await simulator.settled();
    expect(simulator.callbacks).toEqual([]);
    expect(simulator.findMessage(sid)).toMatchObject({
      status: 'delivered',
      dateSent: expect.any(Date) as unknown,
    });
  });

  it('can end with any status and error', async () => {
    simulator.callbackPlan = failing;
    const { sid } = await create();
    await simulator.settled();
    expect(receiver.received.at(-1)?.parameters).toMatchObject({
      MessageStatus: 'undelivered',
      ErrorCode: '30003',
      ErrorMessage: 'Unreachable',
    });
    expect(await clientOf(simulator).messages(sid).fetch()).toMatchObject({
      status: 'undelivered',
      errorCode: 30003,
      errorMessage: 'Unreachable',
    });
  });

  it('can come in the wrong order, unlike the statuses of the message itself', async () => {
    simulator.callbackPlan = reversed(failing);
    const { sid } = await create();
    await simulator.settled();
    expect(receiver.statuses).toEqual(['undelivered', 'sent']);
    expect(simulator.findMessage(sid)).toMatchObject({ status: 'undelivered', errorCode: 30003 });
  });

  it('can be shuffled, and again in the same way with the same seed', async () => {
    const statuses = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
    const plan = inOrder(...statuses.map((status) => ({ status })));
    for (const seed of [1, 1, 2]) {
      simulator.callbackPlan = shuffled(plan, seed);
      await create();
      await simulator.settled();
    }
    const [first, again, other] = [0, 7, 14].map((start) => receiver.statuses.slice(start, start + 7));
    expect(first).not.toEqual(statuses);
    expect(first?.toSorted()).toEqual(statuses);
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });

  it('can be repeated, each with its own idempotency token', async () => {
    simulator.callbackPlan = repeated(failing, 3);
    await create();
    await simulator.settled();
    expect(receiver.statuses).toEqual(['sent', 'sent', 'sent', 'undelivered', 'undelivered', 'undelivered']);
    expect(new Set(simulator.callbacks.map(({ idempotencyToken }) => idempotencyToken)).size).toBe(6);
  });

  it('can be dropped, which Twilio does not notice', async () => {
    simulator.callbackPlan = dropped(delivered, ({ status }) => status === 'delivered');
    const { sid } = await create();
    await simulator.settled();
    expect(receiver.statuses).toEqual(['sent']);
    expect(await clientOf(simulator).messages(sid).fetch()).toMatchObject({ status: 'delivered' });
  });

  it('can all be under way at once', async () => {
    simulator.callbackPlan = concurrent(repeated(inOrder({ status: 'failed' }), 3));
    const allArrived = new Promise<void>((resolve) => {
      receiver.beforeAnswer = () => {
        if (receiver.received.length === 3) resolve();
        return allArrived;
      };
    });
    await create();
    await simulator.settled();
    expect(receiver.statuses).toEqual(['failed', 'failed', 'failed']);
  });

  it('wait for the answer to the previous one', async () => {
    const order: string[] = [];
    receiver.beforeAnswer = () => {
      order.push(String(receiver.statuses.at(-1)));
      return Promise.resolve();
    };
    simulator.on('callback', ({ parameters }) =>
      order.push(`${String(parameters['MessageStatus'])} answered`),
    );
    await create();
    await simulator.settled();
    expect(order).toEqual(['sent', 'sent answered', 'delivered', 'delivered answered']);
  });

  it('come at their planned times', async () => {
    simulator.callbackPlan = paced(delivered, 30);
    await create();
    await simulator.settled();
    const [sent, arrived] = simulator.callbacks.map(({ time }) => time.getTime());
    expect(Number(arrived) - Number(sent)).toBeGreaterThanOrEqual(25);
  });

  it('continue after one without an answer', async () => {
    receiver.nextAnswers.push('reset', 500);
    await create();
    await simulator.settled();
    expect(simulator.callbacks.map(({ status, failure }) => [status, failure])).toEqual([
      [undefined, 'rt'],
      [500, '5xx'],
    ]);
  });

  it('end when the simulator is closed, if they are pending', async () => {
    simulator.callbackPlan = inOrder({ status: 'sent', delayMilliseconds: 3_600_000 });
    await create();
    await simulator.close();
    await simulator.settled();
    expect(simulator.callbacks).toEqual([]);
  });

  it('describe a WhatsApp message that was not created through the API', async () => {
    const { sid } = simulator.sendWhatsapp({
      ...whatsapp,
      statusCallback: receiver.url,
      steps: [{ status: 'sent' }, { status: 'undelivered', errorCode: 63049 }],
    });
    await simulator.settled();
    expect(receiver.received.map(({ parameters }) => parameters)).toMatchObject([
      { MessageSid: sid, MessageStatus: 'sent', ChannelPrefix: 'whatsapp', To: whatsapp.to },
      { MessageSid: sid, MessageStatus: 'undelivered', ErrorCode: '63049', AccountSid: demoAccount.sid },
    ]);
    expect(await clientOf(simulator).messages(sid).fetch()).toMatchObject({ ...whatsapp, errorCode: 63049 });
    expect(simulator.messages).toEqual([]);
  });

  it.each([
    [{}, ['failed']],
    [{ messagingServiceSid: `MG${'1'.repeat(32)}` }, ['queued', 'failed']],
  ])('can report that the message %j was accepted and never sent', async (service, statuses) => {
    simulator.callbackPlan = neverSent(30001);
    const { sid } = await create(service);
    await simulator.settled();
    expect(receiver.statuses).toEqual(statuses);
    expect(receiver.received.at(-1)?.parameters).toMatchObject({ MessageSid: sid, ErrorCode: '30001' });
    expect(simulator.findMessage(sid)).toMatchObject({ status: 'failed', errorCode: 30001 });
  });

  it('can differ between a recipient’s first message and later ones', async () => {
    simulator.callbackPlan = dropped(sequence(neverSent(30001), failing, delivered), () => false);
    const ends = [];
    for (const to of ['+15551230001', '+15551230002', '+15551230001', '+15551230001', '+15551230001']) {
      const { sid } = await create({ to });
      await simulator.settled();
      ends.push(simulator.findMessage(sid)?.status);
    }
    expect(ends).toEqual(['failed', 'failed', 'undelivered', 'delivered', 'delivered']);
    const [first] = simulator.messages;
    expect(first && simulator.callbackPlan(first)).toMatchObject([{ status: 'failed' }]);
  });

  it('are reported as they happen, as are requests and messages', async () => {
    const story: string[] = [];
    simulator.on('request', ({ method, path }) => story.push(`${method} ${path.split('/').at(-1) ?? ''}`));
    simulator.on('message', ({ to, body }) => story.push(`message to ${to}: ${body}`));
    simulator.on('callback', ({ parameters, status }) => {
      story.push(`${String(parameters['MessageStatus'])} answered with ${String(status)}`);
    });
    await create();
    await simulator.settled();
    expect(story).toEqual([
      'POST Messages.json',
      `message to ${sms.to}: ${sms.body}`,
      'sent answered with 204',
      'delivered answered with 204',
    ]);
  });

  it('can be absent', async () => {
    simulator.callbackPlan = silent;
    const { sid } = await create();
    await simulator.settled();
    expect(receiver.received).toEqual([]);
    expect(simulator.findMessage(sid)?.status).toBe('queued');
  });
});
