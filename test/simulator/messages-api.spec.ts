import { demoAccount } from '../../simulator/demo-account.js';
import { silent } from '../../simulator/callback-plan.js';
import { TwilioSimulator } from '../../simulator/twilio-simulator.js';
import { clientOf } from './support.js';

const sms = { to: '+15551230000', from: '+15559870000', body: 'Hello 👍' };

describe('The Messages API of the simulator, through the Twilio library', () => {
  let simulator: TwilioSimulator;

  beforeAll(async () => {
    simulator = await TwilioSimulator.start({ callbackPlan: silent });
  });
  beforeEach(() => {
    simulator.forget();
    simulator.listDelayMilliseconds = 0;
  });
  afterAll(() => simulator.close());

  describe('create', () => {
    it('accepts a message, remembers all its parameters, and answers as Twilio does', async () => {
      const created = await clientOf(simulator).messages.create({
        ...sms,
        statusCallback: 'https://hooks.example.com/callbacks?fallback=1#rc=5&rp=all',
        validityPeriod: 600,
      });
      expect(created).toMatchObject({ ...sms, status: 'queued', direction: 'outbound-api', errorCode: null });
      expect(created.sid).toMatch(/^SM[0-9a-f]{32}$/);
      expect(created.dateCreated).toBeInstanceOf(Date);
      expect(created.dateSent).toBeNull();
      expect(simulator.messages).toEqual([
        expect.objectContaining({
          ...sms,
          sid: created.sid,
          accountSid: demoAccount.sid,
          statusCallback: 'https://hooks.example.com/callbacks?fallback=1#rc=5&rp=all',
          validityPeriod: 600,
          parameters: expect.objectContaining({ To: sms.to, ValidityPeriod: '600' }) as unknown,
        }),
      ]);
    });

    it('accepts a message for a Messaging Service, which has no sender yet', async () => {
      const messagingServiceSid = 'MG00000000000000000000000000000001';
      const created = await clientOf(simulator).messages.create({
        to: sms.to,
        body: 'Hi',
        messagingServiceSid,
      });
      expect(created).toMatchObject({
        status: 'accepted',
        from: null,
        messagingServiceSid,
        numSegments: '0',
      });
    });

    it('gives a message with media an MM SID', async () => {
      const mediaUrl = ['https://example.com/a.png', 'https://example.com/b.png'];
      const created = await clientOf(simulator).messages.create({ to: sms.to, from: sms.from, mediaUrl });
      expect(created.sid).toMatch(/^MM/);
      expect(created.numMedia).toBe('2');
    });

    it.each([
      ['no To', { ...sms, to: '' }, 400, 21604],
      ['neither From nor MessagingServiceSid', { to: sms.to, body: 'Hi' }, 400, 21603],
      ['neither Body, MediaUrl nor ContentSid', { to: sms.to, from: sms.from }, 400, 21619],
      ['a Body of 1601 characters', { ...sms, body: 'x'.repeat(1601) }, 400, 21617],
      ['a StatusCallback that is no URL', { ...sms, statusCallback: 'callbacks' }, 400, 21609],
      ['the invalid magic recipient', { ...sms, to: '+15005550001' }, 400, 21211],
      ['the unreachable magic recipient', { ...sms, to: '+15005550002' }, 400, 21612],
      ['the magic recipient without permission', { ...sms, to: '+15005550003' }, 400, 21408],
      ['the magic recipient who opted out', { ...sms, to: '+15005550004' }, 400, 21610],
      ['the magic recipient without SMS', { ...sms, to: '+15005550009' }, 400, 21614],
      ['the invalid magic sender', { ...sms, from: '+15005550001' }, 400, 21212],
      ['the magic sender that is not ours', { ...sms, from: '+15005550007' }, 400, 21606],
      ['the magic sender with a full queue', { ...sms, from: '+15005550008' }, 429, 21611],
    ])('refuses %s', async (_what, message, status, code) => {
      await expect(clientOf(simulator).messages.create(message)).rejects.toMatchObject({
        status,
        code,
        moreInfo: `https://www.twilio.com/docs/errors/${code}`,
        message: expect.any(String) as unknown,
      });
      expect(simulator.messages).toEqual([]);
    });

    it('accepts a Body of 1600 characters', async () => {
      await clientOf(simulator).messages.create({ ...sms, body: 'x'.repeat(1600) });
      expect(simulator.messages).toHaveLength(1);
    });
  });

  describe('authentication', () => {
    it('refuses a wrong token with 20003, and remembers the request', async () => {
      const wrong = clientOf(simulator, { ...demoAccount, authToken: 'wrong' });
      await expect(wrong.messages.create(sms)).rejects.toMatchObject({ status: 401, code: 20003 });
      expect(simulator.messages).toEqual([]);
      expect(simulator.requests).toEqual([
        expect.objectContaining({ method: 'POST', accountSid: demoAccount.sid, authenticated: false }),
      ]);
    });

    it('keeps the messages of one account from another', async () => {
      const other = { sid: 'AC00000000000000000000000000000002', authToken: 'other-token' };
      const shared = await TwilioSimulator.start({
        accounts: { [demoAccount.sid]: demoAccount.authToken, [other.sid]: other.authToken },
        callbackPlan: silent,
      });
      const { sid } = await clientOf(shared).messages.create(sms);
      await expect(clientOf(shared, other).messages(sid).fetch()).rejects.toMatchObject({ code: 20404 });
      expect(await clientOf(shared, other).messages.list()).toEqual([]);
      await shared.close();
    });
  });

  describe('fetch', () => {
    it('returns a message that was created', async () => {
      const { sid } = await clientOf(simulator).messages.create(sms);
      expect(await clientOf(simulator).messages(sid).fetch()).toMatchObject({ sid, ...sms });
    });

    it('returns the rendered text of a message that was sent earlier', async () => {
      const original = simulator.addMessage({
        accountSid: demoAccount.sid,
        sid: 'SM00000000000000000000000000000003',
        to: 'whatsapp:+15551230000',
        from: 'whatsapp:+14155238886',
        body: 'Your appointment is on Monday',
        status: 'undelivered',
        errorCode: 63049,
      });
      expect(await clientOf(simulator).messages(original.sid).fetch()).toMatchObject({
        body: 'Your appointment is on Monday',
        status: 'undelivered',
        errorCode: 63049,
        dateSent: expect.any(Date) as unknown,
      });
      expect(simulator.messages).toEqual([]);
    });

    it('answers 20404 for an unknown SID', async () => {
      const sid = 'SM00000000000000000000000000000404';
      await expect(clientOf(simulator).messages(sid).fetch()).rejects.toMatchObject({
        status: 404,
        code: 20404,
        message: `The requested resource /2010-04-01/Accounts/${demoAccount.sid}/Messages/${sid}.json was not found`,
      });
    });
  });

  describe('list', () => {
    const addSent = (to: string, dateSent: Date | undefined, from = sms.from) =>
      simulator.addMessage({
        accountSid: demoAccount.sid,
        to,
        from,
        status: dateSent === undefined ? 'queued' : 'sent',
        dateSent,
        dateCreated: dateSent,
      });

    it('returns every message over several pages, newest first', async () => {
      const added = Array.from({ length: 7 }, (_, index) =>
        addSent(sms.to, new Date(Date.UTC(2026, 0, 1, 0, index))),
      );
      const listed = await clientOf(simulator).messages.list({ pageSize: 3 });
      expect(listed.map(({ sid }) => sid)).toEqual(added.map(({ sid }) => sid).toReversed());
      expect(simulator.requests).toHaveLength(3);
      expect(simulator.requests.at(-1)?.parameters).toMatchObject({ PageSize: '3', Page: '2' });
    });

    it('does not repeat a message if another one arrives between two pages', async () => {
      const [oldest, middle, newest] = [1, 2, 3].map((hour) =>
        addSent(sms.to, new Date(Date.UTC(2026, 0, 1, hour))),
      );
      const first = await clientOf(simulator).messages.page({ pageSize: 2 });
      addSent(sms.to, new Date(Date.UTC(2026, 0, 1, 4)));
      const second = await first.nextPage();
      expect(first.instances.map(({ sid }) => sid)).toEqual([newest?.sid, middle?.sid]);
      expect(second?.instances.map(({ sid }) => sid)).toEqual([oldest?.sid]);
    });

    it('has pages of 50 by default, and of 1000 at most', async () => {
      for (let index = 0; index < 1001; index += 1) addSent(sms.to, new Date(Date.UTC(2026, 0, 1)));
      const { messages } = clientOf(simulator);
      expect((await messages.page()).instances).toHaveLength(50);
      expect((await messages.page({ pageSize: 5000 })).instances).toHaveLength(1000);
    });

    it('filters by To and From', async () => {
      const wanted = addSent('+15550000001', new Date(), '+15550000009');
      addSent('+15550000002', new Date(), '+15550000009');
      addSent('+15550000001', new Date(), '+15550000008');
      const listed = await clientOf(simulator).messages.list({ to: '+15550000001', from: '+15550000009' });
      expect(listed.map(({ sid }) => sid)).toEqual([wanted.sid]);
    });

    describe('by the time they were sent', () => {
      const at = (time: string) => new Date(`2026-03-${time}Z`);
      const sidsOf = async (filter: object) =>
        (await clientOf(simulator).messages.list(filter)).map(({ to }) => to).toSorted();

      beforeEach(() => {
        addSent('+1', at('01T23:59:59'));
        addSent('+2', at('02T12:00:00'));
        addSent('+3', at('02T23:59:59'));
        addSent('+4', at('03T00:00:00'));
        addSent('+5', undefined);
      });

      it('finds the messages of a day', async () => {
        expect(await sidsOf({ dateSent: at('02T00:00:00') })).toEqual(['+2', '+3']);
      });
      it('finds the messages from a second on, that second included', async () => {
        expect(await sidsOf({ dateSentAfter: at('02T12:00:00') })).toEqual(['+2', '+3', '+4']);
        expect(await sidsOf({ dateSentAfter: at('02T12:00:01') })).toEqual(['+3', '+4']);
      });
      it('finds the messages up to a second, that second included', async () => {
        expect(await sidsOf({ dateSentBefore: at('02T12:00:00') })).toEqual(['+1', '+2']);
      });
      it('finds the messages between two times', async () => {
        const filter = { dateSentAfter: at('02T00:00:00'), dateSentBefore: at('02T13:00:00') };
        expect(await sidsOf(filter)).toEqual(['+2']);
      });
      it('takes a bare date for the whole day, and refuses an invalid date', async () => {
        const path = `/2010-04-01/Accounts/${demoAccount.sid}/Messages.json`;
        const authorization = `Basic ${btoa(`${demoAccount.sid}:${demoAccount.authToken}`)}`;
        const get = (query: string) =>
          fetch(`${simulator.baseUrl}${path}?${query}`, { headers: { authorization } }).then((answer) =>
            answer.json(),
          );
        expect(await get('DateSent<=2026-03-02&DateSent>=2026-03-02')).toMatchObject({
          messages: [{ to: '+3' }, { to: '+2' }],
          next_page_uri: null,
        });
        expect(await get('DateSent=yesterday')).toMatchObject({ code: 20001, status: 400 });
      });
    });

    it('shows a message only after the configured delay', async () => {
      simulator.listDelayMilliseconds = Infinity;
      const { sid } = await clientOf(simulator).messages.create(sms);
      expect(await clientOf(simulator).messages.list()).toEqual([]);
      expect(await clientOf(simulator).messages(sid).fetch()).toMatchObject({ sid });
      simulator.listDelayMilliseconds = 0;
      expect(await clientOf(simulator).messages.list()).toHaveLength(1);
    });
  });
});
