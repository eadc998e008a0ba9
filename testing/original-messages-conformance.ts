import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { OriginalMessage, OriginalMessages } from '../src/messages/original-messages.js';
import { type ConformanceCase, conformanceCases, type ConformanceSetup } from './conformance.js';

/** A message for the application to store. */
export interface MessageToStore {
  readonly twilioSid: string;
  readonly body: string | null;
  /** Null: the message belongs to no company. */
  readonly company: { readonly phoneNumber: string | null } | null;
}

/** An OriginalMessages, and what the suite needs from the application behind it. */
export interface OriginalMessagesSetup extends ConformanceSetup {
  readonly originalMessages: OriginalMessages;
  /** Stores a WhatsApp message as the application does. */
  readonly store: (message: MessageToStore) => unknown;
}

/** The contract of OriginalMessages that the fallback relies on. */
export function originalMessagesConformance(
  open: () => OriginalMessagesSetup | Promise<OriginalMessagesSetup>,
): readonly ConformanceCase[] {
  return conformanceCases(open, {
    'finds nothing until the message is stored, and then finds it': async (setup) => {
      const twilioSid = newSid();
      assert.equal(await setup.originalMessages.findByTwilioSid(twilioSid), null);
      await setup.store({ twilioSid, body: 'Late', company: { phoneNumber: null } });
      assert.equal((await find(setup, twilioSid)).body, 'Late');
    },

    'finds the message with this SID among others': async (setup) => {
      const [one, other] = [newSid(), newSid()];
      await setup.store({ twilioSid: one, body: 'One', company: null });
      await setup.store({ twilioSid: other, body: 'Other', company: null });
      const found = await Promise.all([find(setup, one), find(setup, other)]);
      assert.deepEqual(
        found.map(({ body }) => body),
        ['One', 'Other'],
      );
    },

    'returns the text exactly as it was stored': async (setup) => {
      const { body } = await storeAndFind(setup, { body: ' Grüße 👋\n' });
      assert.equal(body, ' Grüße 👋\n');
    },

    'returns an empty text as empty, as of a template that Twilio renders': async (setup) => {
      for (const stored of [null, '']) {
        const { body } = await storeAndFind(setup, { body: stored });
        assert.equal(body ?? '', '');
      }
    },

    'returns the company’s number, or that it has none': async (setup) => {
      for (const phoneNumber of ['+15550001111', null]) {
        const { company } = await storeAndFind(setup, { company: { phoneNumber } });
        assert.ok(company !== null, 'The company is missing');
        assert.equal(company.phoneNumber, phoneNumber);
      }
    },

    'reports a missing company': async (setup) => {
      const { company } = await storeAndFind(setup, { company: null });
      assert.equal(company, null);
    },
  });
}

function newSid(): string {
  return `SM${randomBytes(16).toString('hex')}`;
}

async function storeAndFind(
  setup: OriginalMessagesSetup,
  message: Partial<MessageToStore>,
): Promise<OriginalMessage> {
  const twilioSid = newSid();
  await setup.store({ body: 'Hello', company: { phoneNumber: '+15550001111' }, ...message, twilioSid });
  return find(setup, twilioSid);
}

async function find(
  { originalMessages }: OriginalMessagesSetup,
  twilioSid: string,
): Promise<OriginalMessage> {
  const found = await originalMessages.findByTwilioSid(twilioSid);
  return found ?? assert.fail(`The message ${twilioSid} is stored and was not found`);
}
