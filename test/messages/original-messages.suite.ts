import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import type { OriginalMessages } from '../../src/messages/original-messages.js';

export interface StoredMessage {
  readonly twilioSid: string;
  readonly body: string | null;
  /** Null: the message belongs to no company. */
  readonly company: { readonly phoneNumber: string | null } | null;
}

/** What the suite needs from the application behind an OriginalMessages. */
export interface OriginalMessagesHarness {
  readonly originalMessages: OriginalMessages;
  /** Stores a WhatsApp message as the application does. */
  store(message: StoredMessage): Promise<void>;
  close(): Promise<void>;
}

/** The contract that the fallback relies on. Run it for every implementation of the port OriginalMessages. */
export function originalMessagesSuite(name: string, open: () => Promise<OriginalMessagesHarness>): void {
  describe(`${name} as an OriginalMessages`, () => {
    let harness: OriginalMessagesHarness;

    beforeAll(async () => {
      harness = await open();
    });

    afterAll(() => harness.close());

    async function find(message: Partial<StoredMessage>) {
      const twilioSid = newSid();
      await harness.store({ body: 'Hello', company: { phoneNumber: '+15550001111' }, ...message, twilioSid });
      return harness.originalMessages.findByTwilioSid(twilioSid);
    }

    it('finds nothing until the message is stored, and then finds it', async () => {
      const twilioSid = newSid();
      expect(await harness.originalMessages.findByTwilioSid(twilioSid)).toBeNull();
      await harness.store({ twilioSid, body: 'Late', company: { phoneNumber: null } });
      expect(await harness.originalMessages.findByTwilioSid(twilioSid)).toMatchObject({ body: 'Late' });
    });

    it('finds the message with this SID among others', async () => {
      const [one, other] = [newSid(), newSid()];
      await harness.store({ twilioSid: one, body: 'One', company: null });
      await harness.store({ twilioSid: other, body: 'Other', company: null });
      const found = [one, other].map((sid) => harness.originalMessages.findByTwilioSid(sid));
      expect(await Promise.all(found)).toMatchObject([{ body: 'One' }, { body: 'Other' }]);
    });

    it('returns the text exactly as it was stored', async () => {
      expect(await find({ body: ' Grüße 👋\n' })).toMatchObject({ body: ' Grüße 👋\n' });
    });

    it('returns an empty text as empty, as of a template that Twilio renders', async () => {
      expect((await find({ body: null }))?.body ?? '').toBe('');
      expect((await find({ body: '' }))?.body ?? '').toBe('');
    });

    it('returns the company’s number, or that it has none', async () => {
      expect((await find({}))?.company).toMatchObject({ phoneNumber: '+15550001111' });
      expect((await find({ company: { phoneNumber: null } }))?.company).toMatchObject({ phoneNumber: null });
    });

    it('reports a missing company', async () => {
      expect(await find({ company: null })).toMatchObject({ company: null });
    });
  });
}

function newSid(): string {
  return `SM${randomBytes(16).toString('hex')}`;
}
