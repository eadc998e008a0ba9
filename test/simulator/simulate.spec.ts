import { demoAccount } from '../../simulator/demo-account.js';
import type { Environment } from '../../simulator/environment.js';
import { execute } from '../../simulator/command-line.js';
import { simulate } from '../../simulator/simulate-command.js';
import { usage } from '../../simulator/simulate-options.js';
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
    const print = (text: string) => lines.push(text);
    const program = { usage, run: (given: readonly string[]) => simulate(given, variables, { print }) };
    const exitCode = await execute(program, args, { print, complain: print });
    return { exitCode, output: lines.join('\n') };
  };
  const aimed = (...args: string[]) => ['--url', receiver.url, ...args];

  it('sends one signed WhatsApp callback and prints the answer', async () => {
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

  it('sends an SMS callback as often as requested', async () => {
    const { exitCode } = await run(
      aimed('--status', 'delivered', '--channel', 'sms', '--to', '+15551230000', '--repeat', '3'),
    );
    expect(exitCode).toBe(0);
    expect(receiver.received.map(({ parameters }) => parameters['To'])).toEqual([
      '+15551230000',
      '+15551230000',
      '+15551230000',
    ]);
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

  it('signs as the demo account by default', async () => {
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

  it('says so if nothing listens', async () => {
    const { exitCode, output } = await run(['--status', 'sent'], { ...environment, PORT: '1' });
    expect(exitCode).toBe(1);
    expect(output).toContain('Nothing listens at http://localhost:1. Is the service running?');
  });

  it.each([
    ['no --status', [], '--status is missing'],
    ['a status that Twilio has not', ['--status', 'faild'], '--status is one of accepted, scheduled, queued'],
    ['a status of inbound messages', ['--status', 'received'], 'not received'],
    ['another case', ['--status', 'Failed'], 'not Failed'],
    ['a word as number', ['--status', 'sent', '--to', 'hello'], '--to is a number with its country'],
    ['a number without its country', ['--status', 'sent', '--to', '0151 234567'], 'not 0151 234567'],
    ['no number', ['--status', 'sent', '--to', ''], '--to is a number with its country'],
    ['a number of another channel', ['--status', 'sent', '--to', 'messenger:+15551230000'], 'not messenger:'],
    ['a user ID for an SMS', ['--status', 'sent', '--channel', 'sms', '--to', 'US.123'], 'not US.123'],
    ['a word as sender', ['--status', 'sent', '--from', 'hello'], '--from is a number with its country'],
    [
      'the SID of the documentation',
      ['--status', 'sent', '--sid', 'SM…'],
      '--sid is SM or MM and 32 hexadecimal',
    ],
    ['a SID that was cut', ['--status', 'sent', '--sid', 'SM0123'], 'not SM0123'],
    ['the SID of an account', ['--status', 'sent', '--sid', `AC${'0'.repeat(32)}`], '--sid is SM or MM'],
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
    expect(exitCode).toBe(2);
    expect(receiver.received).toEqual([]);
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
