import { beforeEach, describe, expect, it } from '@jest/globals';
import { withClosers } from '../../bench/closers.js';

describe('what the bench starts', () => {
  let ended: string[];

  beforeEach(() => {
    ended = [];
  });

  function ends(name: string): () => Promise<void> {
    return () => {
      ended.push(name);
      return Promise.resolve();
    };
  }

  function fails(message: string): () => Promise<never> {
    return () => Promise.reject(new Error(message));
  }

  it('closes after its use, the last one first', async () => {
    const endedBefore = await withClosers((closers) => {
      closers.push(ends('PostgreSQL'), ends('a server'));
      return Promise.resolve(ended.length);
    });
    expect(endedBefore).toBe(0);
    expect(ended).toEqual(['a server', 'PostgreSQL']);
  });

  it('closes if its use fails, and the error is reported', async () => {
    const work = withClosers((closers) => {
      closers.push(ends('PostgreSQL'), fails('the server is gone'));
      return Promise.reject(new Error('a turn has failed'));
    });
    await expect(work).rejects.toThrow('a turn has failed');
    expect(ended).toEqual(['PostgreSQL']);
  });

  it('closes even if others fail to close, and the first error is reported', async () => {
    const work = withClosers((closers) => {
      closers.push(ends('PostgreSQL'), fails('the database is gone'));
      closers.push(fails('the server is gone'), ends('the load generator'));
      return Promise.resolve();
    });
    await expect(work).rejects.toThrow('the server is gone');
    expect(ended).toEqual(['the load generator', 'PostgreSQL']);
  });
});
