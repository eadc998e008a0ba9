import { beforeEach, describe, expect, it } from '@jest/globals';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  GroupCommit,
  GroupCommitFullError,
  type GroupCommitOptions,
} from '../../src/process/group-commit.js';

class ItemsFault extends Error {}

/** A commit that the test ends itself. */
interface OpenCommit {
  readonly items: readonly string[];
  succeed(results?: readonly string[]): void;
  fail(error: Error): void;
}

describe('GroupCommit', () => {
  let commits: OpenCommit[];
  let group: GroupCommit<string, string>;

  beforeEach(() => {
    commits = [];
    group = createGroup();
  });

  function createGroup(options: Partial<GroupCommitOptions> = {}): GroupCommit<string, string> {
    const commit = (items: readonly string[]) =>
      new Promise<readonly string[]>((resolve, reject) => {
        commits.push({
          items,
          succeed: (results = items.map((item) => `${item} kept`)) => {
            resolve(results);
          },
          fail: reject,
        });
      });
    return new GroupCommit(commit, (error) => error instanceof ItemsFault, {
      maximumBatch: 3,
      maximumWaiting: 5,
      ...options,
    });
  }

  /** The current commit. Each of the earlier ones has ended. */
  async function commitUnderWay(number: number): Promise<OpenCommit> {
    for (let turns = 0; turns < 20 && commits.length < number; turns += 1) await Promise.resolve();
    const commit = commits[number - 1];
    if (commit === undefined || commits.length > number) {
      throw new Error(`There were ${commits.length} commits instead of ${number}`);
    }
    return commit;
  }

  it('commits a lone item at once', () => {
    void group.add('a');
    expect(commits.map(({ items }) => items)).toEqual([['a']]);
  });

  it('commits the items that arrive during a commit together, in their order', async () => {
    const added = ['a', 'b', 'c'].map((item) => group.add(item));
    (await commitUnderWay(1)).succeed();
    const second = await commitUnderWay(2);
    expect(second.items).toEqual(['b', 'c']);
    second.succeed();
    expect(await Promise.all(added)).toEqual(['a kept', 'b kept', 'c kept']);
  });

  it('resolves an item only after the commit that holds it has ended', async () => {
    const told: string[] = [];
    const [first, second] = ['a', 'b'].map(async (item) => told.push(await group.add(item)));
    (await commitUnderWay(1)).succeed();
    await first;
    const commit = await commitUnderWay(2);
    expect(told).toEqual(['a kept']);
    commit.succeed();
    await second;
    expect(told).toEqual(['a kept', 'b kept']);
  });

  it('puts no more items into a commit than the maximum', async () => {
    const added = ['a', 'b', 'c', 'd', 'e', 'f'].map((item) => group.add(item));
    for (const number of [1, 2, 3]) (await commitUnderWay(number)).succeed();
    await Promise.all(added);
    expect(commits.map(({ items }) => items.length)).toEqual([1, 3, 2]);
  });

  it('fails the item that is at fault and keeps its neighbors', async () => {
    const added = ['a', 'b', 'bad', 'c'].map((item) => group.add(item));
    const outcomes = Promise.allSettled(added);
    (await commitUnderWay(1)).succeed();
    (await commitUnderWay(2)).fail(new ItemsFault('one of three'));
    (await commitUnderWay(3)).succeed();
    (await commitUnderWay(4)).fail(new ItemsFault('the bad one'));
    (await commitUnderWay(5)).succeed();
    expect(commits.slice(2).map(({ items }) => items)).toEqual([['b'], ['bad'], ['c']]);
    expect(await outcomes).toMatchObject([
      { value: 'a kept' },
      { value: 'b kept' },
      { reason: { message: 'the bad one' } },
      { value: 'c kept' },
    ]);
  });

  it('tries no further item alone once the connection has broken, and fails all of them', async () => {
    const outcomes = Promise.allSettled(['a', 'b', 'c', 'd', 'e'].map((item) => group.add(item)));
    (await commitUnderWay(1)).succeed();
    (await commitUnderWay(2)).fail(new ItemsFault('one of three'));
    (await commitUnderWay(3)).succeed();
    (await commitUnderWay(4)).fail(new Error('the connection broke'));
    const reason = { message: 'the connection broke' };
    expect(await outcomes).toMatchObject([
      { value: 'a kept' },
      { value: 'b kept' },
      ...[{ reason }, { reason }, { reason }],
    ]);
    expect(commits).toHaveLength(4);
  });

  it('fails every item of a commit if no item is at fault, without another try', async () => {
    const [first, ...others] = ['a', 'b', 'c'].map((item) => group.add(item));
    const outcomes = Promise.allSettled(others);
    (await commitUnderWay(1)).succeed();
    await first;
    (await commitUnderWay(2)).fail(new Error('the connection broke'));
    const reason = { message: 'the connection broke' };
    expect(await outcomes).toMatchObject([{ reason }, { reason }]);
    expect(commits).toHaveLength(2);
  });

  it('fails the waiting items too if the connection broke, because they would fail the same way', async () => {
    const outcomes = Promise.allSettled(['a', 'b', 'c', 'd', 'e'].map((item) => group.add(item)));
    (await commitUnderWay(1)).fail(new Error('the connection broke'));
    expect(await outcomes).toMatchObject(Array(5).fill({ reason: { message: 'the connection broke' } }));
    expect(commits).toHaveLength(1);
  });

  it('continues after a failed commit', async () => {
    const failed = group.add('a');
    (await commitUnderWay(1)).fail(new Error('the connection broke'));
    await expect(failed).rejects.toThrow('the connection broke');
    const next = group.add('b');
    (await commitUnderWay(2)).succeed();
    expect(await next).toBe('b kept');
  });

  it('rejects an item at once while the maximum waits, and accepts others afterwards', async () => {
    const added = ['a', 'b', 'c', 'd', 'e', 'f'].map((item) => group.add(item));
    await expect(group.add('g')).rejects.toThrow(GroupCommitFullError);
    (await commitUnderWay(1)).succeed();
    (await commitUnderWay(2)).succeed();
    (await commitUnderWay(3)).succeed();
    expect(await Promise.all(added)).toHaveLength(6);
    const later = group.add('h');
    (await commitUnderWay(4)).succeed();
    expect(await later).toBe('h kept');
  });

  it("commits the items of one turn of the event loop together if it waits for the turn's end", async () => {
    group = createGroup({ beforeCommit: nextTurn });
    const added = ['a', 'b', 'c', 'd'].map((item) => group.add(item));
    expect(commits).toEqual([]);
    await nextTurn();
    const first = await commitUnderWay(1);
    expect(first.items).toEqual(['a', 'b', 'c']);
    first.succeed();
    await nextTurn();
    await nextTurn();
    const second = await commitUnderWay(2);
    expect(second.items).toEqual(['d']);
    second.succeed();
    expect(await Promise.all(added)).toEqual(['a kept', 'b kept', 'c kept', 'd kept']);
  });

  it('is idle once nothing waits and nothing is being committed', async () => {
    await group.idle(60_000);
    const added = ['a', 'b'].map((item) => group.add(item));
    let isIdle = false;
    const idle = group.idle(60_000).then(() => (isIdle = true));
    (await commitUnderWay(1)).succeed();
    const second = await commitUnderWay(2);
    await nextTurn();
    expect(isIdle).toBe(false);
    second.succeed();
    await idle;
    expect(await Promise.all(added)).toEqual(['a kept', 'b kept']);
  });

  it('rejects an item if the commit returns no result for it', async () => {
    const added = group.add('a');
    (await commitUnderWay(1)).succeed([]);
    await expect(added).rejects.toThrow('no result');
  });
});
