import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import {
  FIND_MESSAGE_STATUSES,
  insertSmsMessages,
  type Refusal,
  refusalOf,
  UPDATE_MESSAGE_STATUS,
} from './application-tables.js';
import {
  MessageRecorder,
  type SentSms,
  type SmsRecording,
  type StatusRecording,
} from './message-recorder.js';
import { statusRank } from './message-status.js';

/** In milliseconds: the application's triggers and locks must not delay what else follows the log. */
const LOCK_TIMEOUT = 200;
const STATEMENT_TIMEOUT = 1_000;

/** How long rows are tried one by one if one of several is refused, in milliseconds. The others are tried later. */
const ONE_BY_ONE_MILLISECONDS = 1_000;

type Statuses = ReadonlyMap<string, string>;

/** The rows of `messages`: those whose status is to rise, and those that another session has locked. */
interface Found {
  readonly rising: Statuses;
  readonly busy: readonly string[];
  readonly all: readonly string[];
}

/** Updates `messages.status`, and adds the rows of SMS, in savepoints of the transaction that it is called in. */
@Injectable()
export class TypeOrmMessageRecorder extends MessageRecorder {
  async recordStatuses(manager: EntityManager, statuses: Statuses): Promise<StatusRecording> {
    const missing = new Set(statuses.keys());
    const busy = new Set<string>();
    const refused = new Map<string, string>();
    const fail = (messageSids: Iterable<string>, error: unknown) => {
      const refusal = refusalOf(error);
      for (const sid of messageSids) {
        missing.delete(sid);
        if (refusal === null) busy.add(sid);
        else refused.set(sid, refusal.found);
      }
    };
    const restore = await limitTimes(manager);
    let rising: Statuses = new Map();
    try {
      await manager.transaction(async (savepoint) => {
        const found = await find(savepoint, statuses);
        for (const sid of found.all) missing.delete(sid);
        for (const sid of found.busy) busy.add(sid);
        ({ rising } = found);
        await update(savepoint, rising);
      });
    } catch (error) {
      const updateOne = (change: readonly [string, string]) =>
        manager.transaction(async (savepoint) => {
          const found = await find(savepoint, new Map([change]));
          if (found.busy.length > 0) throw new Error('The row is locked');
          await update(savepoint, found.rising);
        });
      if (rising.size > 1)
        await tryOneByOne(rising, updateOne, ([sid], reason) => {
          fail([sid], reason);
        });
      else fail(rising.size === 1 ? rising.keys() : statuses.keys(), error);
    }
    await restore();
    return { missing, busy, refused };
  }

  async addSms(manager: EntityManager, sms: readonly SentSms[]): Promise<SmsRecording> {
    const added = new Map<string, string>();
    const busy = new Map<string, string>();
    const refused = new Map<string, Refusal>();
    const restore = await limitTimes(manager);
    const add = async (group: readonly SentSms[]): Promise<void> => {
      const rows = await manager.transaction((savepoint) => insert(savepoint, group));
      for (const { sid, id } of rows) added.set(sid, id);
    };
    const fail = ({ messageSid }: SentSms, error: unknown) => {
      const refusal = refusalOf(error);
      if (refusal === null) busy.set(messageSid, messageOf(error));
      else refused.set(messageSid, refusal);
    };
    if (sms.length > 0) await add(sms).catch(() => tryOneByOne(sms, (one) => add([one]), fail));
    await restore();
    return { added, busy, refused };
  }
}

/** If one row is refused, none of its neighbors is written either, so each is tried by itself, for a limited time. */
async function tryOneByOne<Item>(
  items: Iterable<Item>,
  write: (item: Item) => Promise<void>,
  fail: (item: Item, error: unknown) => void,
): Promise<void> {
  const startedAt = performance.now();
  for (const item of items) {
    try {
      if (performance.now() - startedAt > ONE_BY_ONE_MILLISECONDS) throw new Error('There is no time left');
      await write(item);
    } catch (error) {
      fail(item, error);
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** @returns a function that restores the limits, which a savepoint's release would not do. */
async function limitTimes(manager: EntityManager): Promise<() => Promise<void>> {
  const set = (lock: string, statement: string) =>
    manager.query(`select set_config('lock_timeout', $1, true), set_config('statement_timeout', $2, true)`, [
      lock,
      statement,
    ]);
  const [before] = await manager.query<{ lock: string; statement: string }[]>(
    `select current_setting('lock_timeout') as lock, current_setting('statement_timeout') as statement`,
  );
  await set(`${LOCK_TIMEOUT}ms`, `${STATEMENT_TIMEOUT}ms`);
  return async () => {
    await set(before?.lock ?? '0', before?.statement ?? '0');
  };
}

/** Locks the rows that are free. */
async function find(manager: EntityManager, statuses: Statuses): Promise<Found> {
  const rows = await manager.query<{ sid: string; status: string | null; isFree: boolean }[]>(
    FIND_MESSAGE_STATUSES,
    [[...statuses.keys()]],
  );
  const rising = rows.flatMap(({ sid, status, isFree }): [string, string][] => {
    const reported = statuses.get(sid);
    return isFree && reported !== undefined && statusRank(reported) > statusRank(status ?? '')
      ? [[sid, reported]]
      : [];
  });
  const busy = rows.filter(({ isFree }) => !isFree).map(({ sid }) => sid);
  return { rising: new Map(rising), busy, all: rows.map(({ sid }) => sid) };
}

async function insert(
  manager: EntityManager,
  sms: readonly SentSms[],
): Promise<{ sid: string; id: string }[]> {
  const parameters = sms.flatMap(({ conversationId, messageSid, body }) => [
    conversationId,
    messageSid,
    body,
  ]);
  const rows = await manager.query<{ sid: string; id: string }[]>(insertSmsMessages(sms.length), parameters);
  if (rows.length < sms.length) throw new Error('messages has not returned the id of each row');
  await manager.query('set constraints all immediate');
  return rows;
}

async function update(manager: EntityManager, rising: Statuses): Promise<void> {
  if (rising.size === 0) return;
  for (const status of new Set(rising.values())) {
    const changes = [...rising].filter((change) => change[1] === status);
    await manager.query(UPDATE_MESSAGE_STATUS, [changes.map(([sid]) => sid), status]);
  }
  // Otherwise a deferred constraint or trigger of the application could undo the whole transaction at its commit.
  await manager.query('set constraints all immediate');
}
