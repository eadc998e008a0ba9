import { TwilioSimulator } from '../../simulator/twilio-simulator.js';
import { demoAccount } from '../../simulator/demo-account.js';
import { clientOf, Receiver } from './support.js';

const sms = { to: '+15551230000', from: '+15559870000', body: 'Hello' };

describe('Faults of the simulator', () => {
  let simulator: TwilioSimulator;
  let receiver: Receiver;

  beforeAll(async () => {
    [simulator, receiver] = await Promise.all([TwilioSimulator.start(), Receiver.start()]);
  });
  beforeEach(async () => {
    await simulator.settled();
    simulator.forget();
    receiver.received.length = 0;
  });
  afterAll(() => Promise.all([simulator.close(), receiver.close()]));

  const create = (timeoutMilliseconds?: number) =>
    clientOf(simulator, demoAccount, timeoutMilliseconds).messages.create({
      ...sms,
      statusCallback: receiver.url,
    });

  it('answers with an error once, then works again', async () => {
    simulator.failNext({
      on: 'create',
      fault: { type: 'error', status: 429, code: 20429, message: 'Too many' },
    });
    await expect(create()).rejects.toMatchObject({ status: 429, code: 20429, message: 'Too many' });
    expect(simulator.messages).toEqual([]);
    await create();
    expect(simulator.messages).toHaveLength(1);
  });

  it('sends Retry-After with an error', async () => {
    simulator.failNext({
      on: 'list',
      fault: { type: 'error', status: 429, code: 20429, retryAfterSeconds: 7 },
    });
    const answer = await fetch(`${simulator.baseUrl}/2010-04-01/Accounts/${demoAccount.sid}/Messages.json`, {
      headers: { authorization: `Basic ${btoa(`${demoAccount.sid}:${demoAccount.authToken}`)}` },
    });
    expect(answer.headers.get('retry-after')).toBe('7');
  });

  it.each([
    ['a 500', { type: 'errorAfterAccepting' }, { status: 500, code: 20500 }],
    ['a reset connection', { type: 'resetAfterAccepting' }, { code: 'ECONNRESET' }],
  ] as const)('loses the answer to an accepted message in %s', async (_what, fault, error) => {
    simulator.failNext({ on: 'create', fault });
    await expect(create()).rejects.toMatchObject(error);
    await simulator.settled();
    expect(simulator.messages).toMatchObject([{ ...sms, status: 'delivered' }]);
    expect(receiver.statuses).toEqual(['sent', 'delivered']);
  });

  it('never answers for a message that it has accepted', async () => {
    simulator.failNext({ on: 'create', fault: { type: 'hangAfterAccepting' } });
    await expect(create(300)).rejects.toMatchObject({ code: 'ECONNABORTED' });
    await simulator.settled();
    expect(receiver.statuses).toEqual(['sent', 'delivered']);
  });

  it.each([
    ['resets', { type: 'resetBeforeAccepting' }, 'ECONNRESET'],
    ['hangs', { type: 'hangBeforeAccepting' }, 'ECONNABORTED'],
  ] as const)('%s without accepting anything', async (_what, fault, code) => {
    simulator.failNext({ on: 'create', fault });
    await expect(create(300)).rejects.toMatchObject({ code });
    expect(simulator.messages).toEqual([]);
    expect(await clientOf(simulator).messages.list()).toEqual([]);
  });

  it('sends every callback before the answer to the create', async () => {
    simulator.failNext({ on: 'create', fault: { type: 'answerAfterCallbacks' } });
    const { status } = await create();
    expect(receiver.statuses).toEqual(['sent', 'delivered']);
    expect(status).toBe('queued');
  });

  it('fails as many requests as asked, of the operation and kind asked for', async () => {
    simulator.failNext({
      on: 'fetch',
      times: 2,
      when: ({ path }) => path.includes('SM00000000000000000000000000000007'),
      fault: { type: 'error', status: 503, code: 20503 },
    });
    const other = simulator.addMessage({ accountSid: demoAccount.sid, to: sms.to });
    const failing = simulator.addMessage({
      accountSid: demoAccount.sid,
      to: sms.to,
      sid: 'SM00000000000000000000000000000007',
    });
    const { messages } = clientOf(simulator);
    await expect(messages(failing.sid).fetch()).rejects.toMatchObject({ status: 503 });
    await expect(messages(other.sid).fetch()).resolves.toMatchObject({ sid: other.sid });
    await expect(messages(failing.sid).fetch()).rejects.toMatchObject({ status: 503 });
    await expect(messages(failing.sid).fetch()).resolves.toMatchObject({ sid: failing.sid });
  });

  it('uses faults of the same operation in the order in which they were named', async () => {
    simulator.failNext({ on: 'create', fault: { type: 'error', status: 500, code: 20500 } });
    simulator.failNext({ on: 'create', fault: { type: 'error', status: 503, code: 20503 } });
    await expect(create()).rejects.toMatchObject({ status: 500 });
    await expect(create()).rejects.toMatchObject({ status: 503 });
  });
});
