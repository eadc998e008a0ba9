import { whatsappStatusParameters } from '../../simulator/callback-parameters.js';
import { parseConnectionOverrides } from '../../simulator/connection-overrides.js';
import { TwilioSimulator } from '../../simulator/twilio-simulator.js';
import { Receiver } from './support.js';

const parameters = whatsappStatusParameters({
  messageSid: 'SM00000000000000000000000000000001',
  status: 'sent',
  to: '+15550123456',
  from: '+14155238886',
});
/** A port without a listener: 1 is reserved and needs a privileged process. */
const nobody = 'http://127.0.0.1:1/callbacks';

describe('Retries of a callback', () => {
  let receiver: Receiver;
  let simulator: TwilioSimulator;

  beforeAll(async () => {
    receiver = await Receiver.start();
    simulator = await TwilioSimulator.start({ retryPauseMilliseconds: 0, totalMilliseconds: 3000 });
  });
  beforeEach(() => {
    simulator.forget();
    receiver.received.length = 0;
    receiver.nextAnswers.length = 0;
  });
  afterAll(() => Promise.all([simulator.close(), receiver.close()]));

  const send = (fragment: string, url = receiver.url) =>
    simulator.sendCallback({ url: `${url}${fragment}`, parameters });

  it('do not follow a 500, nor a 4xx, unless asked for', async () => {
    receiver.nextAnswers.push(500, 404);
    await expect(send('')).resolves.toMatchObject({ status: 500 });
    await expect(send('#rc=5')).resolves.toMatchObject({ status: 404 });
    expect(receiver.received).toHaveLength(2);
  });

  it('follow a failed connection once, unless another number is asked for', async () => {
    await expect(send('', nobody)).rejects.toMatchObject({ name: 'NoAnswerError', failure: 'ct' });
    expect(simulator.callbacks.map(({ attempt, failure }) => [attempt, failure])).toEqual([
      [1, 'ct'],
      [2, 'ct'],
    ]);
    simulator.forget();
    await expect(send('#rc=0', nobody)).rejects.toThrow('ECONNREFUSED');
    expect(simulator.callbacks).toHaveLength(1);
  });

  it.each([
    ['#rc=2&rp=5xx', 503],
    ['#rc=2&rp=4xx,ct', 429],
    ['#rc=2&rp=rt', 'reset'],
    ['#rc=2&rp=all', 'reset'],
  ] as const)(
    'follow, with %s, an answer of %s, with the same idempotency token',
    async (fragment, answer) => {
      receiver.nextAnswers.push(answer, answer);
      await expect(send(fragment)).resolves.toMatchObject({ status: 204 });
      expect(simulator.callbacks.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
      const tokens = receiver.received.map(({ headers }) => headers['i-twilio-idempotency-token']);
      expect(new Set(tokens).size).toBe(1);
    },
  );

  it('end with the configured number', async () => {
    receiver.nextAnswers.push(500, 500, 500);
    await expect(send('#rc=2&rp=all')).resolves.toMatchObject({ status: 500 });
    expect(receiver.received).toHaveLength(3);
  });

  it('follow an answer that takes longer than the read timeout', async () => {
    receiver.nextAnswers.push('hang');
    await expect(send('#rc=1&rp=rt&rt=100')).resolves.toMatchObject({ status: 204 });
    expect(simulator.callbacks.map(({ failure, error }) => [failure, error])).toEqual([
      ['rt', 'no answer in time'],
      [undefined, undefined],
    ]);
  });

  it('end with the total time limit', async () => {
    receiver.nextAnswers.push('hang', 'hang', 'hang', 'hang', 'hang');
    await expect(send('#rc=5&rp=all&rt=100&tt=250')).rejects.toMatchObject({ failure: 'rt' });
    expect(receiver.received.length).toBeLessThanOrEqual(3);
  });

  it('end when the simulator is closed', async () => {
    const closing = await TwilioSimulator.start();
    receiver.nextAnswers.push('hang');
    const arrived = new Promise<void>((resolve) => {
      receiver.beforeAnswer = () => {
        resolve();
        return Promise.resolve();
      };
    });
    const sending = closing.sendCallback({ url: `${receiver.url}#rc=5&rp=all`, parameters });
    const ended = expect(sending).rejects.toMatchObject({ name: 'NoAnswerError' });
    await arrived;
    await closing.close();
    await ended;
    await closing.close();
  });
});

describe('The fragment of a callback URL', () => {
  it.each([
    ['', 1, ['ct'], 15_000],
    ['#rc=5&rp=all', 5, ['4xx', '5xx', 'ct', 'rt'], 15_000],
    ['#rp=5xx,rt&tt=2000', 1, ['5xx', 'rt'], 2000],
    ['#rc=9&tt=99999', 5, ['ct'], 15_000],
    ['#rc=many&rp=', 1, [], 15_000],
  ])(
    '%s asks for %i retries on %j within %i ms',
    (fragment, retryCount, retryPolicy, totalTimeoutMilliseconds) => {
      const overrides = parseConnectionOverrides(`https://hooks.example.com/callbacks?a=1${fragment}`);
      expect(overrides).toMatchObject({ retryCount, retryPolicy, totalTimeoutMilliseconds });
    },
  );
});
