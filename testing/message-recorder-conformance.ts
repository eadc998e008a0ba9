import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import type {
  MessageRecorder,
  SentSms,
  SmsRecording,
  StatusRecording,
} from '../src/messages/message-recorder.js';
import { type ConformanceCase, conformanceCases, type ConformanceSetup, resultOf } from './conformance.js';

/** A message as the application has it. */
export interface RecordedMessage {
  readonly id: string;
  readonly status: string | null;
  readonly body: string | null;
  readonly conversationId: string | null;
}

/** A MessageRecorder, and what the suite needs from the application behind it. */
export interface MessageRecorderSetup extends ConformanceSetup {
  readonly recorder: MessageRecorder;
  /** Runs the work in a transaction of the service's data source, and commits it. */
  readonly inTransaction: <Result>(work: (manager: EntityManager) => Promise<Result>) => Promise<Result>;
  /** Stores a WhatsApp message as the application does. */
  readonly store: (message: { readonly twilioSid: string; readonly status: string }) => unknown;
  /** Reads a message, or the SMS of a fallback, after the commit. */
  readonly find: (twilioSid: string) => RecordedMessage | null | Promise<RecordedMessage | null>;
  /** Creates a conversation, and returns its id. */
  readonly newConversation: () => string | Promise<string>;
  /** Makes the application refuse to change or add the message with this SID. */
  readonly refuse: (twilioSid: string) => unknown;
  /** Runs the work while another session has the message locked. Left out: this application has no locks. */
  readonly whileLocked?: <Result>(twilioSid: string, work: () => Promise<Result>) => Promise<Result>;
}

/** The contract of MessageRecorder that the follower relies on. */
export function messageRecorderConformance(
  open: () => MessageRecorderSetup | Promise<MessageRecorderSetup>,
): readonly ConformanceCase[] {
  return conformanceCases(open, {
    'raises the statuses of several messages, and no others': async (setup) => {
      const [one, two, other] = [await store(setup), await store(setup), await store(setup)];
      const recording = await record(setup, { [one]: 'delivered', [two]: 'sent' });
      assertRecording(recording, {});
      assert.deepEqual(await statusesOf(setup, one, two, other), ['delivered', 'sent', 'queued']);
    },

    'never lets a status fall, whatever the order of the reports': async (setup) => {
      const sid = await store(setup);
      for (const status of ['delivered', 'sent', 'failed', 'read', 'undelivered']) {
        assertRecording(await record(setup, { [sid]: status }), {});
      }
      assert.deepEqual(await statusesOf(setup, sid), ['read']);
    },

    'keeps the status if an unknown one is reported': async (setup) => {
      const sid = await store(setup);
      assertRecording(await record(setup, { [sid]: 'teleported' }), {});
      assert.deepEqual(await statusesOf(setup, sid), ['queued']);
    },

    'returns messages that are not stored as missing, and does not add them': async (setup) => {
      const [stored, unknown] = [await store(setup), newSid()];
      const recording = await record(setup, { [stored]: 'sent', [unknown]: 'sent' });
      assertRecording(recording, { missing: [unknown] });
      assert.equal(await setup.find(unknown), null, 'The unknown message was added');
      assert.deepEqual(await statusesOf(setup, stored), ['sent']);
    },

    'returns a locked message as busy without waiting, and records the others': async (setup) => {
      if (setup.whileLocked === undefined) return;
      const [locked, free] = [await store(setup), await store(setup)];
      const statuses = { [locked]: 'sent', [free]: 'sent' };
      const recording = await setup.whileLocked(locked, () => record(setup, statuses));
      assertRecording(recording, { busy: [locked] });
      assert.deepEqual(await statusesOf(setup, locked, free), ['queued', 'sent']);
      assertRecording(await record(setup, statuses), {});
      assert.deepEqual(await statusesOf(setup, locked, free), ['sent', 'sent']);
    },

    'returns a status that the application refuses, with the reason, and records the others': async (
      setup,
    ) => {
      const [refused, taken] = [await store(setup), await store(setup)];
      await setup.refuse(refused);
      const recording = await record(setup, { [refused]: 'sent', [taken]: 'sent' });
      assertRecording(recording, { refused: [refused] });
      assert.notEqual(recording.refused.get(refused), '', 'The reason is empty');
      assert.deepEqual(await statusesOf(setup, refused, taken), ['queued', 'sent']);
    },

    'adds an SMS with its text and its conversation, and returns the id': async (setup) => {
      const inConversation = newSms({ conversationId: await setup.newConversation() });
      const alone = newSms({});
      const { added } = await add(setup, inConversation, alone);
      for (const { messageSid, body, conversationId } of [inConversation, alone]) {
        const found = await findStored(setup, messageSid);
        assert.deepEqual(
          { id: found.id, body: found.body, conversationId: found.conversationId },
          { id: added.get(messageSid), body, conversationId },
        );
      }
    },

    'adds an SMS once: adding it again changes nothing, and returns the same id': async (setup) => {
      const sms = newSms({});
      const first = await add(setup, sms);
      assertRecording(await record(setup, { [sms.messageSid]: 'delivered' }), {});
      const before = await findStored(setup, sms.messageSid);
      const second = await add(setup, sms, newSms({}));
      assert.equal(second.added.get(sms.messageSid), first.added.get(sms.messageSid));
      assert.deepEqual(await findStored(setup, sms.messageSid), before);
      assert.equal(before.status, 'delivered', 'The status of an SMS that was added does not rise');
    },

    'returns an SMS that the application refuses, with the reason, and adds the others': async (setup) => {
      const [refused, taken] = [newSms({}), newSms({})];
      await setup.refuse(refused.messageSid);
      const recording = await addSome(setup, [refused, taken]);
      assert.deepEqual([...recording.added.keys()], [taken.messageSid]);
      assert.deepEqual([...recording.busy.keys()], []);
      assert.deepEqual([...recording.refused.keys()], [refused.messageSid]);
      const refusal = recording.refused.get(refused.messageSid);
      assert.ok(refusal?.found && refusal.remedy, 'The reason or the remedy is empty');
      assert.equal(await setup.find(refused.messageSid), null);
      assert.ok((await setup.find(taken.messageSid)) !== null, 'The other SMS is lost');
    },

    'has nothing to do without messages': async (setup) => {
      assertRecording(await record(setup, {}), {});
      await add(setup);
    },
  });
}

function newSid(): string {
  return `SM${randomBytes(16).toString('hex')}`;
}

function newSms(sms: Partial<SentSms>): SentSms {
  return { messageSid: newSid(), conversationId: null, body: 'Grüße 👋', ...sms };
}

async function store(setup: MessageRecorderSetup): Promise<string> {
  const twilioSid = newSid();
  await setup.store({ twilioSid, status: 'queued' });
  return twilioSid;
}

function record(
  setup: MessageRecorderSetup,
  statuses: Readonly<Record<string, string>>,
): Promise<StatusRecording> {
  const { recorder } = setup;
  return setup.inTransaction((manager) =>
    resultOf('recordStatuses()', setup, () =>
      recorder.recordStatuses(manager, new Map(Object.entries(statuses))),
    ),
  );
}

function addSome(setup: MessageRecorderSetup, sms: readonly SentSms[]): Promise<SmsRecording> {
  return setup.inTransaction((manager) =>
    resultOf('addSms()', setup, () => setup.recorder.addSms(manager, sms)),
  );
}

/** Adds SMS that the application takes. */
async function add(setup: MessageRecorderSetup, ...sms: readonly SentSms[]): Promise<SmsRecording> {
  const recording = await addSome(setup, sms);
  const { added, busy, refused } = recording;
  assert.deepEqual([...busy, ...refused], [], 'An SMS was not added');
  assert.deepEqual([...added.keys()].toSorted(), sms.map(({ messageSid }) => messageSid).toSorted());
  return recording;
}

function assertRecording(
  recording: StatusRecording,
  expected: Readonly<Partial<Record<keyof StatusRecording, readonly string[]>>>,
): void {
  const { missing, busy, refused } = recording;
  assert.deepEqual(
    { missing: [...missing], busy: [...busy], refused: [...refused.keys()] },
    { missing: [], busy: [], refused: [], ...expected },
  );
}

async function findStored(setup: MessageRecorderSetup, sid: string): Promise<RecordedMessage> {
  return (await setup.find(sid)) ?? assert.fail(`${sid} is not stored`);
}

async function statusesOf(
  setup: MessageRecorderSetup,
  ...sids: readonly string[]
): Promise<(string | null)[]> {
  const messages = await Promise.all(sids.map((sid) => findStored(setup, sid)));
  return messages.map(({ status }) => status);
}
