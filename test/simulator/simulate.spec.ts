import { demoAccount } from '../../simulator/demo-account.js';
import type { Environment } from '../../simulator/environment.js';
import { simulate } from '../../simulator/simulate-command.js';
import { isSigned, Receiver } from './support.js';

const account = { sid: 'AC00000000000000000000000000000001', authToken: 'the-token-of-the-account' };
const environment = { TWILIO_ACCOUNT_SID: account.sid, TWILIO_AUTH_TOKEN: account.authToken };
const messageSid = 'SM00000000000000000000000000000001';

describe('npm run simulate', () => {
  let receiver: Receiver;

  beforeEach(async () => {
    receiver = await Receiver.start();
  });
  afterEach(() => receiver.close());

  const run = async (args: readonly string[], variables: Environment = environment) => {
    const lines: string[] = [];
    const exitCode = await simulate(args, variables, (text) => lines.push(text));
    return { exitCode, output: lines.join('\n') };
  };
  const aimed = (...args: string[]) => ['--url', receiver.url, ...args];

  it('sends one signed WhatsApp callback and says what was answered', async () => {
    const args = [
      '--status',
      'failed',
      '--error-code',
      '63049',
      '--sid',
      messageSid,
      '--to',
      'whatsapp:+15551230000',
    ];
    const { exitCode, output } = await run(aimed(...args));
    expect(exitCode).toBe(0);
    expect(receiver.received).toHaveLength(1);
    expect(receiver.received[0]?.parameters).toMatchObject({
      AccountSid: account.sid,
      MessageSid: messageSid,
      MessageStatus: 'failed',
      ErrorCode: '63049',
      ChannelPrefix: 'whatsapp',
      To: 'whatsapp:+15551230000',
    });
    expect(receiver.received.every((received) => isSigned(received, receiver.url, account.authToken))).toBe(
      true,
    );
    expect(output).toContain('failed, error 63049');
    expect(output).toContain(messageSid);
    expect(output).toContain('204 No Content');
  });

  it('sends an SMS callback as often as asked', async () => {
    const { exitCode } = await run(
      aimed('--status', 'delivered', '--channel', 'sms', '--to', '+1555', '--repeat', '3'),
    );
    expect(exitCode).toBe(0);
    expect(receiver.received.map(({ parameters }) => parameters['To'])).toEqual(['+1555', '+1555', '+1555']);
    expect(receiver.received[0]?.parameters).not.toHaveProperty('ChannelPrefix');
  });

  it.each([
    [
      'PUBLIC_BASE_URL',
      [],
      { PUBLIC_BASE_URL: 'https://hooks.example.com' },
      'https://hooks.example.com/callbacks',
    ],
    ['an origin', ['--public-url', 'https://other.example.com/'], {}, 'https://other.example.com/callbacks'],
    ['a URL', ['--public-url', 'https://other.example.com/x?y=1'], {}, 'https://other.example.com/x?y=1'],
  ])('signs for %s and sends to the local service', async (_what, args, variables, publicUrl) => {
    await run(aimed('--status', 'sent', ...args), { ...environment, ...variables });
    expect(receiver.received.map((received) => isSigned(received, publicUrl, account.authToken))).toEqual([
      true,
    ]);
  });

  it('signs as the demo account where nobody names another', async () => {
    const { output } = await run(aimed('--status', 'sent'), {});
    expect(receiver.received.map((received) => isSigned(received, receiver.url))).toEqual([true]);
    expect(output).toContain(`${demoAccount.sid} (the demo account)`);
  });

  it('signs as a subaccount with its token', async () => {
    const variables = { ...environment, TWILIO_SUBACCOUNTS: 'AC2:second-token, AC3:third-token' };
    await run(aimed('--status', 'sent', '--account-sid', 'AC3'), variables);
    expect(receiver.received.map((received) => isSigned(received, receiver.url, 'third-token'))).toEqual([
      true,
    ]);
  });

  it.each([
    [400, 'a field is missing or too long'],
    [403, 'TWILIO_AUTH_TOKEN'],
    [404, 'no such path'],
    [415, 'forms and JSON'],
    [429, 'Too many wrong signatures'],
    [500, 'Its log may say more'],
    [503, 'Is its database running?'],
  ])('fails on a %i, once, with advice', async (status, advice) => {
    receiver.nextAnswers.push(status);
    const { exitCode, output } = await run(aimed('--status', 'sent'));
    expect(exitCode).toBe(1);
    expect(output).toContain(String(status));
    expect(output).toContain(advice);
    expect(receiver.received).toHaveLength(1);
  });

  it('says so where nothing listens', async () => {
    const { exitCode, output } = await run(['--status', 'sent'], { ...environment, PORT: '1' });
    expect(exitCode).toBe(1);
    expect(output).toContain('Nothing listens at http://localhost:1. Is the service running?');
  });

  it.each([
    ['no --status', [], '--status is missing'],
    ['an unknown flag', ['--staus', 'sent'], "Unknown option '--staus'"],
    ['an argument that is no flag', ['sent'], "Unexpected argument 'sent'"],
    [
      'an error code that is no number',
      ['--status', 'sent', '--error-code', 'x'],
      '--error-code is a whole number',
    ],
    ['no repetition', ['--status', 'sent', '--repeat', '0'], '--repeat is a whole number above 0'],
    ['an unknown channel', ['--status', 'sent', '--channel', 'fax'], '--channel is whatsapp or sms'],
    ['a WhatsApp SMS', ['--status', 'sent', '--channel', 'sms', '--to', 'whatsapp:+1'], 'does not go with'],
    [
      'a URL that is none',
      ['--status', 'sent', '--url', 'localhost:3000'],
      '--url is not an http or https URL',
    ],
    ['an account without a token', ['--status', 'sent', '--account-sid', 'AC9'], 'no token for AC9'],
  ])('refuses %s in one line, and sends nothing', async (_what, args, message) => {
    const { exitCode, output } = await run(args);
    expect(exitCode).toBe(1);
    expect(output).toContain(message);
    expect(output.split('\n')).toHaveLength(1);
  });

  it('explains itself', async () => {
    const { exitCode, output } = await run(['--help']);
    expect(exitCode).toBe(0);
    expect(output).toContain('npm run simulate -- --status');
  });

  it('never prints the token', async () => {
    receiver.nextAnswers.push(403);
    const { output } = await run(aimed('--status', 'sent', '--auth-token', 'another-token'));
    expect(output).not.toContain('another-token');
    expect((await run(aimed('--status', 'sent'))).output).not.toContain(account.authToken);
  });
});
