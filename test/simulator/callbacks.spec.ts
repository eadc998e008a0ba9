import { getExpectedTwilioSignature, validateRequestWithBody } from 'twilio/lib/webhooks/webhooks.js';
import { smsStatusParameters, whatsappStatusParameters } from '../../simulator/callback-parameters.js';
import { demoAccount } from '../../simulator/demo-account.js';
import { TwilioSimulator } from '../../simulator/twilio-simulator.js';
import { isSigned, Receiver, signatureSettings } from './support.js';
import type { Received } from './support.js';

const messageSid = 'SM00000000000000000000000000000001';
const failed = whatsappStatusParameters({
  messageSid,
  status: 'undelivered',
  errorCode: 63049,
  to: 'whatsapp:+15550123456',
  from: '+14155238886',
});

describe('A callback of the simulator', () => {
  const publicOrigin = 'https://hooks.example.com';
  const publicUrl = `${publicOrigin}/callbacks`;
  let receiver: Receiver;
  let simulator: TwilioSimulator;

  beforeAll(async () => {
    receiver = await Receiver.start();
    simulator = await TwilioSimulator.start({
      accounts: { [demoAccount.sid]: demoAccount.authToken, AC2: 'token-of-the-subaccount' },
      rewriteUrl: (url) => url.replace(publicUrl, receiver.url),
    });
  });
  beforeEach(() => {
    simulator.forget();
    receiver.received.length = 0;
  });
  afterAll(() => Promise.all([simulator.close(), receiver.close()]));

  const onlyReceived = (): Received => {
    const [received, ...more] = receiver.received;
    if (received === undefined || more.length > 0)
      throw new Error(`${receiver.received.length} requests came`);
    return received;
  };

  it('is a form with the headers of a real one, signed for the public URL', async () => {
    const answer = await simulator.sendCallback({ url: publicUrl, parameters: failed });
    expect(answer).toMatchObject({ status: 204, body: '' });
    const received = onlyReceived();
    expect(received.parameters).toEqual(failed);
    expect(received.headers).toMatchObject({
      'user-agent': 'TwilioProxy/1.1',
      'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
      'i-twilio-idempotency-token': expect.any(String) as unknown,
      host: 'hooks.example.com',
      'x-forwarded-host': 'hooks.example.com',
      'x-forwarded-proto': 'https',
    });
    expect(isSigned(received, publicUrl)).toBe(true);
    expect(isSigned(received, receiver.url)).toBe(false);
  });

  it('keeps the query exactly as written, and omits the fragment from request and signature', async () => {
    const query = "?b=2&a=O'Brien&a=%7Eone+two&empty=&q=%C3%A9|x";
    await simulator.sendCallback({ url: `${publicUrl}${query}#rc=5&rp=all`, parameters: failed });
    expect(onlyReceived().target).toBe(`/callbacks${query}`);
    const expected = getExpectedTwilioSignature(demoAccount.authToken, `${publicUrl}${query}`, failed);
    expect(onlyReceived().headers['x-twilio-signature']).toBe(expected);
  });

  it('carries any characters, names with brackets, and repeated parameters', async () => {
    const parameters = { ...failed, Body: 'é 👍 & = + % \n', 'Meta[x]': '1', MediaUrl: ['b', 'a', 'b'] };
    await simulator.sendCallback({ url: publicUrl, parameters });
    expect(onlyReceived().parameters).toEqual(parameters);
    expect(isSigned(onlyReceived(), publicUrl)).toBe(true);
  });

  it('can be JSON, with the hash of its body in the signed query', async () => {
    await simulator.sendCallback({ url: `${publicUrl}?a=1#rc=0`, parameters: failed, format: 'json' });
    const { target, body, headers } = onlyReceived();
    expect(headers['content-type']).toBe('application/json');
    expect(JSON.parse(body)).toEqual(failed);
    expect(target).toMatch(/^\/callbacks\?a=1&bodySHA256=[0-9a-f]{64}$/);
    const signature = String(headers['x-twilio-signature']);
    expect(validateRequestWithBody(demoAccount.authToken, signature, `${publicOrigin}${target}`, body)).toBe(
      true,
    );
  });

  it('is signed with the token of the account that it names', async () => {
    await simulator.sendCallback({ url: publicUrl, parameters: { ...failed, AccountSid: 'AC2' } });
    expect(isSigned(onlyReceived(), publicUrl, 'token-of-the-subaccount')).toBe(true);
  });

  it('can be signed with another account or another token', async () => {
    await simulator.sendCallback({ url: publicUrl, parameters: failed, accountSid: 'AC2' });
    await simulator.sendCallback({ url: publicUrl, parameters: failed, signWith: 'stolen' });
    const [first, second] = receiver.received;
    expect(first && isSigned(first, publicUrl, 'token-of-the-subaccount')).toBe(true);
    expect(second && isSigned(second, publicUrl, 'stolen')).toBe(true);
  });

  describe('signed with a shared key', () => {
    const sharedKey = { id: 'webhooks_sharedkey_1', secret: 'shared secret' };
    const settings = `key=${sharedKey.id},algorithm=HMAC_SHA256`;
    afterEach(() => {
      simulator.sharedKey = undefined;
    });

    it('names the key, and is signed by SHA-256 with its secret only', async () => {
      await simulator.sendCallback({ url: publicUrl, parameters: failed, sharedKey });
      const { secret } = sharedKey;
      expect(signatureSettings(onlyReceived())).toBe(settings);
      expect(isSigned(onlyReceived(), publicUrl, secret)).toBe(true);
      expect(isSigned(onlyReceived(), publicUrl)).toBe(false);
      const sha1 = getExpectedTwilioSignature(secret, publicUrl, failed);
      expect(onlyReceived().headers['x-twilio-signature']).not.toBe(sha1);
    });

    it('can be JSON', async () => {
      await simulator.sendCallback({ url: publicUrl, parameters: failed, sharedKey, format: 'json' });
      const { target, body, headers } = onlyReceived();
      const url = `${publicOrigin}${target}`;
      expect(headers['x-twilio-signature']).toBe(
        getExpectedTwilioSignature(sharedKey.secret, url, {}, 'HMAC_SHA256'),
      );
      expect(JSON.parse(body)).toEqual(failed);
    });

    it('can name another algorithm', async () => {
      for (const algorithm of ['HMAC_SHA1', 'HMAC_SHA512']) {
        const key = { ...sharedKey, algorithm };
        await simulator.sendCallback({ url: publicUrl, parameters: failed, sharedKey: key });
      }
      const [sha1, unknown] = receiver.received;
      expect(sha1 && isSigned(sha1, publicUrl, sharedKey.secret)).toBe(true);
      expect(unknown && signatureSettings(unknown)).toBe(`key=${sharedKey.id},algorithm=HMAC_SHA512`);
    });

    it('is the form of every callback while the account has a Rule for it, unless another token is named', async () => {
      simulator.sharedKey = sharedKey;
      simulator.sendWhatsapp({
        to: 'whatsapp:+15550123456',
        from: 'whatsapp:+14155238886',
        body: 'Hello',
        statusCallback: publicUrl,
        steps: [{ status: 'sent' }],
      });
      await simulator.settled();
      expect(isSigned(onlyReceived(), publicUrl, sharedKey.secret)).toBe(true);
      await simulator.sendCallback({ url: publicUrl, parameters: failed, signWith: 'stolen' });
      const second = receiver.received.at(1);
      expect(second && signatureSettings(second)).toBeUndefined();
      expect(second && isSigned(second, publicUrl, 'stolen')).toBe(true);
    });
  });

  it('is not sent for an account whose token is unknown', async () => {
    const parameters = { ...failed, AccountSid: 'AC3' };
    await expect(simulator.sendCallback({ url: publicUrl, parameters })).rejects.toThrow('no account AC3');
  });

  it('can be tampered with after it was signed', async () => {
    await simulator.sendCallback({
      url: publicUrl,
      parameters: failed,
      tamper: (request) => ({ ...request, body: request.body.replace('undelivered', 'delivered') }),
    });
    expect(onlyReceived().parameters['MessageStatus']).toBe('delivered');
    expect(isSigned(onlyReceived(), publicUrl)).toBe(false);
  });

  it('is remembered with its answer, and reported', async () => {
    const told: unknown[] = [];
    simulator.once('callback', (callback) => told.push(callback));
    receiver.nextAnswers.push(403);
    await simulator.sendCallback({ url: `${publicUrl}#rc=1`, parameters: failed });
    expect(simulator.callbacks).toEqual([
      expect.objectContaining({
        url: publicUrl,
        parameters: failed,
        attempt: 1,
        status: 403,
        failure: '4xx',
      }),
    ]);
    expect(told).toEqual(simulator.callbacks);
  });
});

describe('The parameters of a callback', () => {
  it('are those of a WhatsApp message', () => {
    expect(failed).toEqual({
      AccountSid: demoAccount.sid,
      ApiVersion: '2010-04-01',
      ChannelPrefix: 'whatsapp',
      ChannelToAddress: '+1555012XXXX',
      ErrorCode: '63049',
      From: 'whatsapp:+14155238886',
      MessageSid: messageSid,
      MessageStatus: 'undelivered',
      SmsSid: messageSid,
      SmsStatus: 'undelivered',
      StructuredMessage: 'false',
      To: 'whatsapp:+15550123456',
    });
  });

  it('are those of an SMS', () => {
    const messagingServiceSid = 'MG00000000000000000000000000000001';
    const callback = { messageSid, status: 'delivered', to: '+1555', from: '+1666', messagingServiceSid };
    expect(smsStatusParameters(callback)).toEqual({
      AccountSid: demoAccount.sid,
      ApiVersion: '2010-04-01',
      From: '+1666',
      MessageSid: messageSid,
      MessageStatus: 'delivered',
      MessagingServiceSid: messagingServiceSid,
      RawDlrDoneDate: expect.stringMatching(/^\d{10}$/) as unknown,
      SmsSid: messageSid,
      SmsStatus: 'delivered',
      To: '+1555',
    });
  });

  it('can be more, different, or fewer than usual', () => {
    const extra = { EventType: 'READ', ApiVersion: '2038-01-19' };
    const callback = {
      messageSid,
      status: 'read',
      to: '+1555',
      from: '+1666',
      extra,
      without: ['To', 'From'],
    };
    const parameters = whatsappStatusParameters(callback);
    expect(parameters).toMatchObject(extra);
    expect(Object.keys(parameters)).not.toContain('To');
    expect(Object.keys(parameters)).not.toContain('From');
  });
});
