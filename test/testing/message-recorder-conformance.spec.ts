import { describe } from '@jest/globals';
import type { EntityManager } from 'typeorm';
import {
  MessageRecorder,
  type SentSms,
  type SmsRecording,
  type StatusRecording,
} from '../../src/messages/message-recorder.js';
import { statusRank } from '../../src/messages/message-status.js';
import {
  messageRecorderConformance,
  type MessageRecorderSetup,
  type RecordedMessage,
} from '../../testing/message-recorder-conformance.js';
import { describeSuite, type Mutant } from './mutants.js';

const REFUSAL = { found: 'the application refuses it', remedy: 'let it' };

/** An application that keeps its messages in memory. */
class InMemoryMessages extends MessageRecorder {
  readonly rows = new Map<string, RecordedMessage>();
  readonly refused = new Set<string>();
  readonly locked = new Set<string>();

  recordStatuses(_: EntityManager, statuses: ReadonlyMap<string, string>): Promise<StatusRecording> {
    const recording = {
      missing: new Set<string>(),
      busy: new Set<string>(),
      refused: new Map<string, string>(),
    };
    for (const [sid, status] of statuses) {
      const row = this.rows.get(sid);
      if (row === undefined) recording.missing.add(sid);
      else if (this.locked.has(sid)) recording.busy.add(sid);
      else if (this.refused.has(sid)) recording.refused.set(sid, REFUSAL.found);
      else if (statusRank(status) > statusRank(row.status ?? '')) this.rows.set(sid, { ...row, status });
    }
    return Promise.resolve(recording);
  }

  addSms(_: EntityManager, sms: readonly SentSms[]): Promise<SmsRecording> {
    const recording = {
      added: new Map<string, string>(),
      busy: new Map<string, string>(),
      refused: new Map<string, typeof REFUSAL>(),
    };
    for (const { messageSid, ...others } of sms) {
      if (this.refused.has(messageSid)) {
        recording.refused.set(messageSid, REFUSAL);
        continue;
      }
      const row = this.rows.get(messageSid) ?? { id: `row of ${messageSid}`, status: 'accepted', ...others };
      this.rows.set(messageSid, row);
      recording.added.set(messageSid, row.id);
    }
    return Promise.resolve(recording);
  }
}

interface Setup extends MessageRecorderSetup {
  readonly messages: InMemoryMessages;
}

function open(): Setup {
  const messages = new InMemoryMessages();
  return {
    messages,
    recorder: messages,
    inTransaction: (work) => work({} as EntityManager),
    store: ({ twilioSid, status }) =>
      messages.rows.set(twilioSid, { id: twilioSid, status, body: 'Hello', conversationId: null }),
    find: (twilioSid) => messages.rows.get(twilioSid) ?? null,
    newConversation: () => 'a conversation',
    refuse: (twilioSid) => messages.refused.add(twilioSid),
    whileLocked: async (twilioSid, work) => {
      messages.locked.add(twilioSid);
      const result = await work();
      messages.locked.delete(twilioSid);
      return result;
    },
  };
}

type Recording = (
  messages: InMemoryMessages,
  statuses: ReadonlyMap<string, string>,
) => Promise<StatusRecording>;
type Adding = (messages: InMemoryMessages, sms: readonly SentSms[]) => Promise<SmsRecording>;

const right: Recording = (messages, statuses) => messages.recordStatuses({} as EntityManager, statuses);
const rightlyAdds: Adding = (messages, sms) => messages.addSms({} as EntityManager, sms);

const records =
  (record: Recording, more: Partial<Setup> = {}) =>
  ({ messages }: Setup): Partial<Setup> => ({
    ...more,
    recorder: {
      recordStatuses: (_, statuses) => record(messages, statuses),
      addSms: (_, sms) => rightlyAdds(messages, sms),
    },
  });

const adds =
  (add: Adding) =>
  ({ messages }: Setup): Partial<Setup> => ({
    recorder: {
      recordStatuses: (_, statuses) => right(messages, statuses),
      addSms: (_, sms) => add(messages, sms),
    },
  });

/** Does the right thing, and then something wrong. */
const then =
  (wrong: (messages: InMemoryMessages, statuses: ReadonlyMap<string, string>) => void): Recording =>
  async (messages, statuses) => {
    const recording = await right(messages, statuses);
    wrong(messages, statuses);
    return recording;
  };

const changes =
  (change: (recording: StatusRecording) => Partial<StatusRecording>): Recording =>
  async (messages, statuses) => {
    const recording = await right(messages, statuses);
    return { ...recording, ...change(recording) };
  };

const changesAdded =
  (change: (recording: SmsRecording) => Partial<SmsRecording>): Adding =>
  async (messages, sms) => {
    const recording = await rightlyAdds(messages, sms);
    return { ...recording, ...change(recording) };
  };

/** Changes a row, whatever the rules say. */
function write({ rows }: InMemoryMessages, sid: string, change: Partial<RecordedMessage>): void {
  const row = rows.get(sid);
  if (row !== undefined) rows.set(sid, { ...row, ...change });
}

/** Does nothing at all if it cannot do everything. */
const allOrNothing: Recording = async (messages, statuses) => {
  const before = new Map(messages.rows);
  const recording = await right(messages, statuses);
  if (recording.missing.size + recording.busy.size + recording.refused.size > 0)
    for (const [sid, row] of before) messages.rows.set(sid, row);
  return recording;
};

/** Never comes back to a message that was locked. */
function forgetsLocked(): (setup: Setup) => Partial<Setup> {
  const forgotten = new Set<string>();
  return records((messages, statuses) => {
    const others = [...statuses].filter(([sid]) => !forgotten.has(sid));
    for (const sid of messages.locked) forgotten.add(sid);
    return right(messages, new Map(others));
  });
}

const throws = () => Promise.reject(new Error('no'));
const whenRefused: Recording = (messages, statuses) =>
  messages.refused.size > 0 ? throws() : right(messages, statuses);
const whenLocked: Recording = (messages, statuses) =>
  messages.locked.size > 0 ? new Promise(() => undefined) : right(messages, statuses);

const RAISES = 'raises the statuses of several messages, and no others';
const NEVER_FALLS = 'never lets a status fall, whatever the order of the reports';
const UNKNOWN_STATUS = 'keeps the status if an unknown one is reported';
const MISSING = 'returns messages that are not stored as missing, and does not add them';
const LOCKED = 'returns a locked message as busy without waiting, and records the others';
const REFUSED = 'returns a status that the application refuses, with the reason, and records the others';
const ADDS = 'adds an SMS with its text and its conversation, and returns the id';
const ONCE = 'adds an SMS once: adding it again changes nothing, and returns the same id';
const REFUSED_SMS = 'returns an SMS that the application refuses, with the reason, and adds the others';
const NOTHING = 'has nothing to do without messages';

const mutants: readonly Mutant<Setup>[] = [
  [
    RAISES,
    'records the first one only',
    records((messages, statuses) => right(messages, new Map([...statuses].slice(0, 1)))),
  ],
  [
    RAISES,
    'changes every row',
    records(
      then((messages) => {
        for (const sid of messages.rows.keys()) write(messages, sid, { status: 'sent' });
      }),
    ),
  ],
  [
    NEVER_FALLS,
    'writes the latest status',
    records(
      then((messages, statuses) => {
        for (const [sid, status] of statuses) write(messages, sid, { status });
      }),
    ),
  ],
  [
    UNKNOWN_STATUS,
    'writes it',
    records(
      then((messages, statuses) => {
        for (const [sid, status] of statuses) if (statusRank(status) === 0) write(messages, sid, { status });
      }),
    ),
  ],
  [
    UNKNOWN_STATUS,
    'refuses it',
    records((messages, statuses) =>
      changes(() => ({ refused: new Map([...statuses].map(([sid]) => [sid, 'unknown'])) }))(
        messages,
        statuses,
      ),
    ),
  ],
  [MISSING, 'says nothing', records(changes(() => ({ missing: new Set() })))],
  [
    MISSING,
    'says that it is busy',
    records(changes(({ missing }) => ({ missing: new Set(), busy: missing }))),
  ],
  [
    MISSING,
    'adds them',
    records(async (messages, statuses) => {
      const recording = await right(messages, statuses);
      for (const id of recording.missing)
        messages.rows.set(id, { id, status: 'sent', body: null, conversationId: null });
      return recording;
    }),
  ],
  [MISSING, 'records nothing else', records(allOrNothing)],
  [LOCKED, 'forgets it', forgetsLocked()],
  [LOCKED, 'waits for it', records(whenLocked, { limitMilliseconds: 50 })],
  [LOCKED, 'says nothing', records(changes(() => ({ busy: new Set() })))],
  [LOCKED, 'says that it is missing', records(changes(({ busy }) => ({ busy: new Set(), missing: busy })))],
  [LOCKED, 'records nothing else', records(allOrNothing)],
  [REFUSED, 'throws', records(whenRefused)],
  [REFUSED, 'says nothing', records(changes(() => ({ refused: new Map() })))],
  [
    REFUSED,
    'gives no reason',
    records(changes(({ refused }) => ({ refused: new Map([...refused].map(([sid]) => [sid, ''])) }))),
  ],
  [REFUSED, 'records nothing else', records(allOrNothing)],
  [
    ADDS,
    'adds nothing',
    adds(async (messages, sms) => {
      const recording = await rightlyAdds(messages, sms);
      messages.rows.clear();
      return recording;
    }),
  ],
  [
    ADDS,
    'loses the conversation',
    adds((messages, sms) =>
      rightlyAdds(
        messages,
        sms.map((one) => ({ ...one, conversationId: null })),
      ),
    ),
  ],
  [
    ADDS,
    'changes the text',
    adds((messages, sms) =>
      rightlyAdds(
        messages,
        sms.map((one) => ({ ...one, body: 'SMS' })),
      ),
    ),
  ],
  [
    ADDS,
    'returns another id',
    adds(changesAdded(({ added }) => ({ added: new Map([...added].map(([sid]) => [sid, 'another'])) }))),
  ],
  [ADDS, 'returns no id', adds(changesAdded(() => ({ added: new Map() })))],
  [
    ONCE,
    'returns another id each time',
    adds((messages, sms) => {
      const id = String(Math.random());
      return changesAdded(({ added }) => ({ added: new Map([...added.keys()].map((sid) => [sid, id])) }))(
        messages,
        sms,
      );
    }),
  ],
  [
    ONCE,
    'begins anew',
    adds((messages, sms) => {
      for (const { messageSid } of sms) messages.rows.delete(messageSid);
      return rightlyAdds(messages, sms);
    }),
  ],
  [
    ONCE,
    'refuses it',
    adds(async (messages, sms) => {
      const known = sms.filter(({ messageSid }) => messages.rows.has(messageSid));
      const recording = await rightlyAdds(messages, sms);
      return { ...recording, refused: new Map(known.map(({ messageSid }) => [messageSid, REFUSAL])) };
    }),
  ],
  [
    ONCE,
    'never raises its status',
    records((messages, statuses) => {
      const others = [...statuses].filter(([sid]) => messages.rows.get(sid)?.status !== 'accepted');
      return right(messages, new Map(others));
    }),
  ],
  [
    REFUSED_SMS,
    'throws',
    adds((messages, sms) => (messages.refused.size > 0 ? throws() : rightlyAdds(messages, sms))),
  ],
  [REFUSED_SMS, 'says nothing', adds(changesAdded(() => ({ refused: new Map() })))],
  [
    REFUSED_SMS,
    'gives no remedy',
    adds(
      changesAdded(({ refused }) => ({
        refused: new Map([...refused].map(([sid]) => [sid, { ...REFUSAL, remedy: '' }])),
      })),
    ),
  ],
  [
    REFUSED_SMS,
    'adds no others',
    adds(async (messages, sms) => {
      const recording = await rightlyAdds(messages, sms);
      messages.rows.clear();
      return recording;
    }),
  ],
  [
    REFUSED_SMS,
    'says that it is added too',
    adds(
      changesAdded(({ added, refused }) => ({
        added: new Map([...added, ...[...refused.keys()].map((sid) => [sid, sid] as const)]),
      })),
    ),
  ],
  [
    REFUSED_SMS,
    'says that it is busy too',
    adds(
      changesAdded(({ refused }) => ({
        busy: new Map([...refused].map(([sid, { found }]) => [sid, found])),
      })),
    ),
  ],
  [
    REFUSED_SMS,
    'says that all are refused',
    adds(
      changesAdded(({ added, refused }) => ({
        refused: new Map([...refused, ...[...added.keys()].map((sid) => [sid, REFUSAL] as const)]),
      })),
    ),
  ],
  [
    REFUSED_SMS,
    'adds it nevertheless',
    adds(async (messages, sms) => {
      const recording = await rightlyAdds(messages, sms);
      for (const id of recording.refused.keys())
        messages.rows.set(id, { id, status: 'accepted', body: null, conversationId: null });
      return recording;
    }),
  ],
  [NOTHING, 'returns an id', adds(changesAdded(() => ({ added: new Map([['SM1', '1']]) })))],
  [
    NOTHING,
    'throws',
    records((messages, statuses) => (statuses.size === 0 ? throws() : right(messages, statuses))),
  ],
  [
    NOTHING,
    'throws for no SMS',
    adds((messages, sms) => (sms.length === 0 ? throws() : rightlyAdds(messages, sms))),
  ],
];

describe('messageRecorderConformance', () => {
  describeSuite<Setup>(messageRecorderConformance, open, mutants);
});
