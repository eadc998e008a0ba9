import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type AcceptedSms, asSearch, type Sms, type SmsSender } from '../../src/fallback/sms-sender.js';

/** What the suite needs from the provider behind an SmsSender. */
export interface SmsSenderHarness {
  readonly sender: SmsSender;
  /** An SMS that the provider accepts, without its text and recipient. */
  readonly sms: Omit<Sms, 'body' | 'to'>;
  /** The texts that the provider accepted for this recipient, the oldest first. */
  acceptedFor(to: string): readonly string[];
  /** The provider refuses the next SMS permanently. */
  rejectNext(): void;
  /** The provider refuses the next SMS temporarily, e.g. because of a rate limit. */
  refuseNextForNow(): void;
  /** The provider accepts the next SMS, and its answer is lost. */
  loseNextAnswer(): void;
  /** The provider neither accepts nor answers the next SMS. */
  hangNext(): void;
  /** The provider's next list request fails. */
  failNextLook(): void;
  /** From now on, the provider hides in its list what tells one SMS from another. */
  hideFromNow(): void;
  close(): Promise<void>;
}

/** The contract that the fallback relies on. Run it for every implementation of the port SmsSender. */
export function smsSenderSuite(name: string, open: () => Promise<SmsSenderHarness>): void {
  describe(`${name} as an SmsSender`, () => {
    let harness: SmsSenderHarness;
    let recipients = 0;

    beforeAll(async () => {
      harness = await open();
    });

    afterAll(() => harness.close());

    function newSms(body = 'Hello Ada'): Sms {
      recipients += 1;
      return { ...harness.sms, to: `+1555${String(recipients).padStart(7, '0')}`, body };
    }

    const aMinuteAgo = () => new Date(Date.now() - 60_000);

    /** The matching SMS. No other result is in doubt. */
    async function find(sms: Sms, since: Date): Promise<readonly AcceptedSms[]> {
      const { accepted, ...rest } = asSearch(await harness.sender.findAccepted(sms, since));
      expect(rest).toEqual({ possible: [], complete: true });
      return accepted;
    }

    it('sends an SMS once and returns its SID and status', async () => {
      const sms = newSms();
      const result = await harness.sender.send(sms);
      expect(result.outcome).toBe('accepted');
      if (result.outcome !== 'accepted') return;
      expect(result.messageSid).not.toBe('');
      expect(result.status).not.toBe('');
      expect(harness.acceptedFor(sms.to)).toEqual([sms.body]);
    });

    it('sends the text unchanged, at its full length', async () => {
      const sms = newSms('Grüße 👋\n'.padEnd(1_600, 'é'));
      expect(await harness.sender.send(sms)).toMatchObject({ outcome: 'accepted' });
      expect(harness.acceptedFor(sms.to)).toEqual([sms.body]);
    });

    it('gives each SMS its own SID, even if two are alike', async () => {
      const sms = newSms();
      const [first, second] = [await harness.sender.send(sms), await harness.sender.send(sms)];
      expect(first).toMatchObject({ outcome: 'accepted' });
      expect(second).toMatchObject({ outcome: 'accepted' });
      expect(first).not.toEqual(second);
      expect(harness.acceptedFor(sms.to)).toHaveLength(2);
    });

    it('returns rejected, with a code, only for an SMS that is never sent', async () => {
      harness.rejectNext();
      const sms = newSms();
      const result = await harness.sender.send(sms);
      expect(result).toMatchObject({ outcome: 'rejected', code: expect.stringMatching(/./) as unknown });
      expect(harness.acceptedFor(sms.to)).toEqual([]);
      expect(await find(sms, aMinuteAgo())).toEqual([]);
    });

    it('returns not_processed for an SMS that can be sent again, and does not resend it by itself', async () => {
      harness.refuseNextForNow();
      const sms = newSms();
      expect(await harness.sender.send(sms)).toMatchObject({ outcome: 'not_processed' });
      expect(harness.acceptedFor(sms.to)).toEqual([]);
      expect(await harness.sender.send(sms)).toMatchObject({ outcome: 'accepted' });
      expect(harness.acceptedFor(sms.to)).toHaveLength(1);
    });

    it('returns ambiguous if the answer was lost, does not resend, and finds the SMS', async () => {
      harness.loseNextAnswer();
      const sms = newSms();
      expect(await harness.sender.send(sms)).toMatchObject({ outcome: 'ambiguous' });
      expect(harness.acceptedFor(sms.to)).toHaveLength(1);
      expect(await find(sms, aMinuteAgo())).toMatchObject([{ outcome: 'accepted' }]);
    });

    it('returns ambiguous within 15 seconds if no answer comes', async () => {
      harness.hangNext();
      const sms = newSms();
      const began = Date.now();
      expect(await harness.sender.send(sms)).toMatchObject({ outcome: 'ambiguous' });
      expect(Date.now() - began).toBeLessThan(15_000);
      expect(await find(sms, aMinuteAgo())).toEqual([]);
    });

    it('finds every matching SMS, with the SIDs that it returned', async () => {
      const sms = newSms();
      const sent = [await harness.sender.send(sms), await harness.sender.send(sms)];
      const sids = sent.map((result) => (result.outcome === 'accepted' ? result.messageSid : undefined));
      const found = await find(sms, aMinuteAgo());
      expect(found.map(({ messageSid }) => messageSid).toSorted()).toEqual(sids.toSorted());
    });

    it('finds no SMS with another text or to another recipient, and none from before', async () => {
      const sms = newSms();
      await harness.sender.send(sms);
      expect(await find({ ...sms, body: 'Hello' }, aMinuteAgo())).toEqual([]);
      expect(await find(newSms(), aMinuteAgo())).toEqual([]);
      const later = new Date(Date.now() + 300_000);
      expect(await find(sms, later)).toEqual([]);
    });

    it('rejects if it cannot look, which differs from finding none', async () => {
      const sms = newSms();
      harness.failNextLook();
      await expect(harness.sender.findAccepted(sms, aMinuteAgo())).rejects.toBeDefined();
      expect(await find(sms, aMinuteAgo())).toEqual([]);
    });

    describe('with a provider that hides what tells one SMS from another', () => {
      beforeAll(() => {
        harness.hideFromNow();
      });

      it('says that an SMS may have been accepted', async () => {
        harness.loseNextAnswer();
        const sms = newSms();
        expect(await harness.sender.send(sms)).toMatchObject({ outcome: 'ambiguous' });
        const { accepted, possible, complete } = asSearch(
          await harness.sender.findAccepted(sms, aMinuteAgo()),
        );
        expect(accepted).toEqual([]);
        expect(possible.length > 0 || !complete).toBe(true);
      });

      it('finds none if the visible part differs or is from before', async () => {
        const sms = newSms();
        await harness.sender.send(sms);
        expect(await find({ ...sms, to: '+15559990000' }, aMinuteAgo())).toEqual([]);
        expect(await find(sms, new Date(Date.now() + 300_000))).toEqual([]);
      });
    });
  });
}
