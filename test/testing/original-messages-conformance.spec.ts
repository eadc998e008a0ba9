import { describe } from '@jest/globals';
import type { OriginalMessage, OriginalMessages } from '../../src/messages/original-messages.js';
import {
  type MessageToStore,
  originalMessagesConformance,
  type OriginalMessagesSetup,
} from '../../testing/original-messages-conformance.js';
import { describeSuite, type Mutant } from './mutants.js';

interface Setup extends OriginalMessagesSetup {
  readonly stored: Map<string, MessageToStore>;
}

function open(): Setup {
  const stored = new Map<string, MessageToStore>();
  return {
    stored,
    originalMessages: { findByTwilioSid: (sid) => Promise.resolve(toOriginal(stored.get(sid))) },
    store: (message) => stored.set(message.twilioSid, message),
  };
}

function toOriginal(message: MessageToStore | undefined): OriginalMessage | null {
  if (message === undefined) return null;
  const { twilioSid, body, company } = message;
  return { id: twilioSid, body, conversationId: null, company: company && { id: 'A', ...company } };
}

const finds =
  (findByTwilioSid: (setup: Setup) => OriginalMessages['findByTwilioSid']) =>
  (setup: Setup): Partial<Setup> => ({ originalMessages: { findByTwilioSid: findByTwilioSid(setup) } });

/** Changes what it returns of a message. */
const changes = (change: (message: OriginalMessage) => Partial<OriginalMessage>) =>
  finds(({ originalMessages }) => async (sid) => {
    const found = await originalMessages.findByTwilioSid(sid);
    return found && { ...found, ...change(found) };
  });

const LATE = 'finds nothing until the message is stored, and then finds it';
const AMONG_OTHERS = 'finds the message with this SID among others';
const TEXT = 'returns the text exactly as it was stored';
const EMPTY = 'returns an empty text as empty, as of a template that Twilio renders';
const NUMBER = 'returns the company’s number, or that it has none';
const NO_COMPANY = 'reports a missing company';

const mutants: readonly Mutant<Setup>[] = [
  [
    LATE,
    'remembers that there was none',
    finds(({ originalMessages }) => {
      const found = new Map<string, Promise<OriginalMessage | null>>();
      return (sid) => {
        const search = found.get(sid) ?? originalMessages.findByTwilioSid(sid);
        found.set(sid, search);
        return search;
      };
    }),
  ],
  [
    LATE,
    'makes one up',
    finds(
      ({ stored }) =>
        (sid) =>
          Promise.resolve(toOriginal(stored.get(sid) ?? { twilioSid: sid, body: null, company: null })),
    ),
  ],
  [
    AMONG_OTHERS,
    'finds the latest',
    finds(
      ({ stored }) =>
        () =>
          Promise.resolve(toOriginal([...stored.values()].at(-1))),
    ),
  ],
  [LATE, 'finds it without its text', changes(() => ({ body: null }))],
  [TEXT, 'trims it', changes(({ body }) => ({ body: body?.trim() ?? null }))],
  [TEXT, 'decomposes letters', changes(({ body }) => ({ body: body?.normalize('NFD') ?? null }))],
  [EMPTY, 'fills in a word', changes(({ body }) => ({ body: body === null ? 'null' : body }))],
  [EMPTY, 'fills in a blank', changes(({ body }) => ({ body: body === '' ? ' ' : body }))],
  [NUMBER, 'loses it', changes(({ company }) => ({ company: company && { ...company, phoneNumber: null } }))],
  [NUMBER, 'loses the company', changes(() => ({ company: null }))],
  [
    NUMBER,
    'makes one up',
    changes(({ company }) => ({ company: company && { ...company, phoneNumber: '+15550001111' } })),
  ],
  [
    NO_COMPANY,
    'makes one up',
    changes(({ company }) => ({ company: company ?? { id: 'A', phoneNumber: null } })),
  ],
];

describe('originalMessagesConformance', () => {
  describeSuite<Setup>(originalMessagesConformance, open, mutants);
});
