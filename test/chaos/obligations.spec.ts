import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MAIN_ACCOUNT } from '../../chaos/accounts.js';
import { Ledger } from '../../chaos/ledger.js';
import type { Load } from '../../chaos/load.js';
import { Obligations } from '../../chaos/obligations.js';
import { whatsappStatusParameters } from '../../simulator/callback-parameters.js';
import { TwilioSimulator } from '../../simulator/twilio-simulator.js';

const SID = 'SM00000000000000000000000000000001';
const ADDRESSES = { to: '+15550000001', from: '+14155238886' };

describe('what a service that polls must know of a message whose failure no callback reported', () => {
  let twilio: TwilioSimulator;
  let obligations: Obligations;

  beforeEach(async () => {
    twilio = await TwilioSimulator.start({ accounts: { [MAIN_ACCOUNT.sid]: MAIN_ACCOUNT.token } });
    obligations = new Obligations({ messages: new Map() } as Load, new Ledger(twilio), twilio, true);
    twilio.sendWhatsapp({
      sid: SID,
      accountSid: MAIN_ACCOUNT.sid,
      ...ADDRESSES,
      body: 'Hello',
      steps: [{ status: 'undelivered', errorCode: 63049, dropped: true }],
    });
    await twilio.settled();
  });

  afterEach(() => twilio.close());

  it('includes the failure', () => {
    expect(obligations.isTold(SID)).toBe(true);
  });

  it('does not include it if the callback of a delivery may be stored, because its answer was lost', async () => {
    const server = createServer((request) => request.socket.destroy());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const parameters = whatsappStatusParameters({
      accountSid: MAIN_ACCOUNT.sid,
      messageSid: SID,
      status: 'delivered',
      ...ADDRESSES,
    });
    await expect(
      twilio.sendCallback({ url: `http://127.0.0.1:${String(port)}/`, parameters }),
    ).rejects.toThrow('socket hang up');
    server.close();
    expect(obligations.isTold(SID)).toBe(false);
  });
});
