import { describe, it } from '@jest/globals';
import { demoAccount } from '../../simulator/demo-account.js';
import {
  type AcceptedSearch,
  asSearch,
  type SendResult,
  type Sms,
  type SmsSender,
} from '../../src/fallback/sms-sender.js';
import { InMemorySmsSender } from '../../testing/in-memory-sms-sender.js';
import { smsSenderConformance, type SmsSenderSetup } from '../../testing/sms-sender-conformance.js';
import { describeSuite, type Mutant } from './mutants.js';

interface Setup extends SmsSenderSetup {
  readonly provider: InMemorySmsSender;
}

function open(): Setup {
  const provider = new InMemorySmsSender();
  return {
    provider,
    sender: provider,
    sms: {
      accountSid: demoAccount.sid,
      from: '+15550001111',
      messagingServiceSid: null,
      validityPeriodSeconds: 3_600,
      statusCallbackUrl: null,
    },
    acceptedFor: (to) => provider.sms.filter((one) => one.to === to).map(({ body }) => body),
    rejectNext: () => {
      provider.rejectNext();
    },
    refuseNextForNow: () => {
      provider.refuseNextForNow();
    },
    loseNextAnswer: () => {
      provider.loseNextAnswer();
    },
    hangNext: () => {
      provider.hangNext();
    },
    failNextLook: () => {
      provider.failNextLook();
    },
    hideFromNow: () => {
      provider.hidesTexts = true;
    },
  };
}

type Sending = (sms: Sms, provider: InMemorySmsSender) => Promise<SendResult>;
type Search = (sms: Sms, since: Date, provider: InMemorySmsSender) => ReturnType<SmsSender['findAccepted']>;

function sends(send: Sending, more: Partial<Setup> = {}) {
  return ({ provider }: Setup): Partial<Setup> => ({
    ...more,
    sender: {
      send: (sms) => send(sms, provider),
      findAccepted: (sms, since) => provider.findAccepted(sms, since),
    },
  });
}

function finds(search: Search) {
  return ({ provider }: Setup): Partial<Setup> => ({
    sender: {
      send: (sms) => provider.send(sms),
      findAccepted: (sms, since) => search(sms, since, provider),
    },
  });
}

/** Changes the results of a search. */
function changes(change: (search: AcceptedSearch) => Partial<AcceptedSearch>) {
  return finds(async (sms, since, provider) => {
    const search = await provider.findAccepted(sms, since);
    return { ...search, ...change(search) };
  });
}

const says =
  (wrong: object): Sending =>
  async (sms, provider) => ({ ...(await provider.send(sms)), ...wrong });

function matching(sms: InMemorySmsSender['sms'], is: (one: InMemorySmsSender['sms'][number]) => boolean) {
  const found = sms.filter(is).map(({ messageSid }) => messageSid);
  return Promise.resolve(
    found.map((messageSid) => ({ outcome: 'accepted', messageSid, status: 'queued' }) as const),
  );
}

/** Sends once for each key, and repeats its answer. */
function once(keyOf: (sms: Sms) => string, keeps: (result: SendResult) => boolean = () => true): Sending {
  const answers = new Map<string, SendResult>();
  return async (sms, provider) => {
    const known = answers.get(keyOf(sms));
    if (known !== undefined) return known;
    const result = await provider.send(sms);
    if (keeps(result)) answers.set(keyOf(sms), result);
    return result;
  };
}

const SENDS_ONCE = 'sends an SMS once and returns its SID and status';
const FULL_LENGTH = 'sends the text unchanged, at its full length';
const OWN_SID = 'gives each SMS its own SID, even if two are alike';
const REJECTED = 'returns rejected, with a code, only for an SMS that is never sent';
const FOR_NOW = 'returns not_processed for an SMS that can be sent again, and does not resend it by itself';
const LOST = 'returns ambiguous if the answer was lost, does not resend, and finds the SMS';
const HANGS = 'returns ambiguous within 15 seconds if no answer comes';
const ALIKE = 'finds each of two SMS that are alike, by the SID that it returned';
const OTHERS = 'finds no SMS with another text or to another recipient, and none from before';
const NO_LOOK = 'rejects if it cannot look, which differs from finding none';
const HIDDEN = 'says that an SMS may have been accepted if the provider hides what tells one from another';
const SHOWN = 'finds none if the part that the provider shows differs or is from before';

const resends: Sending = async (sms, provider) => {
  const result = await provider.send(sms);
  return result.outcome === 'accepted' ? result : provider.send(sms);
};

const STRANGER = { outcome: 'accepted', messageSid: 'SM1', status: 'queued' } as const;

const findsStranger = changes(({ accepted }) => ({ accepted: [...accepted, STRANGER] }));

const mutants: readonly Mutant<Setup>[] = [
  [SENDS_ONCE, 'sends it twice', sends((sms, provider) => provider.send(sms).then(() => provider.send(sms)))],
  [
    SENDS_ONCE,
    'sends nothing',
    sends(() => Promise.resolve({ outcome: 'accepted', messageSid: 'SM1', status: 'queued' })),
  ],
  [SENDS_ONCE, 'returns no SID', sends(says({ messageSid: '' }))],
  [SENDS_ONCE, 'returns no status', sends(says({ status: '' }))],
  [SENDS_ONCE, 'throws', sends(() => Promise.reject(new Error('No connection')))],
  [FULL_LENGTH, 'cuts it', sends((sms, provider) => provider.send({ ...sms, body: sms.body.slice(0, 160) }))],
  [
    FULL_LENGTH,
    'joins lines',
    sends((sms, provider) => provider.send({ ...sms, body: sms.body.replace('\n', ' ') })),
  ],
  [OWN_SID, 'returns the same SID', sends(says({ messageSid: 'SM1' }))],
  [OWN_SID, 'sends what is alike once', sends(once(({ to, body }) => to + body))],
  [
    REJECTED,
    'sends it nevertheless',
    sends((sms, provider) =>
      provider.send(sms).then(async (result) => {
        await provider.send(sms);
        return result;
      }),
    ),
  ],
  [REJECTED, 'returns no code', sends(says({ code: '' }))],
  [REJECTED, 'says not_processed', sends(says({ outcome: 'not_processed' }))],
  [REJECTED, 'finds another one', findsStranger],
  [FOR_NOW, 'resends it', sends(resends)],
  [FOR_NOW, 'says rejected', sends(says({ outcome: 'rejected' }))],
  [FOR_NOW, 'keeps the answer of a key', sends(once(({ reference }) => reference))],
  [LOST, 'resends it', sends(resends)],
  [LOST, 'says not_processed', sends(says({ outcome: 'not_processed' }))],
  [LOST, 'finds nothing', changes(() => ({ accepted: [] }))],
  [HANGS, 'waits forever', sends(() => new Promise(() => undefined), { limitMilliseconds: 50 })],
  [LOST, 'finds it without a SID', changes(() => ({ accepted: [{ ...STRANGER, messageSid: '' }] }))],
  [HANGS, 'finds another one', findsStranger],
  [HANGS, 'says not_processed', sends(says({ outcome: 'not_processed' }))],
  [ALIKE, 'finds the latest only', changes(({ accepted }) => ({ accepted: accepted.slice(-1) }))],
  [ALIKE, 'finds the oldest only', changes(({ accepted }) => ({ accepted: accepted.slice(0, 1) }))],
  [ALIKE, 'finds one more', findsStranger],
  [
    OTHERS,
    'ignores the text',
    finds(({ to }, since, { sms }) => matching(sms, (one) => one.to === to && one.acceptedAt >= since)),
  ],
  [
    OTHERS,
    'ignores the recipient',
    finds(({ body }, since, { sms }) => matching(sms, (one) => one.body === body && one.acceptedAt >= since)),
  ],
  [OTHERS, 'is never sure', changes(() => ({ complete: false }))],
  [OTHERS, 'ignores the time', finds((sms, _, provider) => provider.findAccepted(sms, new Date(0)))],
  [
    NO_LOOK,
    'finds none instead',
    finds((sms, since, provider) => provider.findAccepted(sms, since).catch(() => [])),
  ],
  [NO_LOOK, 'finds another one', findsStranger],
  [HIDDEN, 'is both certain and not', changes(({ possible }) => ({ accepted: possible }))],
  [HIDDEN, 'is certain', changes(({ possible }) => ({ accepted: possible, possible: [] }))],
  [HIDDEN, 'claims that a hidden SMS was not accepted', changes(() => ({ possible: [] }))],
  [
    SHOWN,
    'thinks every SMS possible',
    finds(async (sms, since, provider) => ({
      ...asSearch(await provider.findAccepted(sms, since)),
      possible: await matching(provider.sms, () => true),
    })),
  ],
  [
    SHOWN,
    'is certain of other recipients',
    finds((_, since, { sms }) => matching(sms, ({ acceptedAt }) => acceptedAt >= since)),
  ],
  [SHOWN, 'is certain of earlier SMS', finds(({ to }, _, { sms }) => matching(sms, (one) => one.to === to))],
  [SHOWN, 'ignores the time', finds((sms, _, provider) => provider.findAccepted(sms, new Date(0)))],
];

describe('smsSenderConformance', () => {
  describeSuite<Setup>(smsSenderConformance, open, mutants);

  describe('passes a provider that sends once for each key, and finds by it: it', () => {
    const openWithKeys = (): SmsSenderSetup => {
      const setup = open();
      const isAccepted = ({ outcome }: SendResult) => outcome === 'accepted';
      const send = once(({ reference }) => reference, isAccepted);
      return {
        ...setup,
        hideFromNow: undefined,
        sender: {
          send: (sms) => send(sms, setup.provider),
          findAccepted: async (sms, since) => {
            await setup.provider.findAccepted(sms, since);
            return matching(
              setup.provider.sms,
              (one) => one.reference === sms.reference && one.acceptedAt >= since,
            );
          },
        },
      };
    };
    for (const { name, run } of smsSenderConformance(openWithKeys)) it(name, run);
  });
});
