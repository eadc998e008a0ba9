import { describe, expect, it } from '@jest/globals';
import { AnswerReader } from '../../bench/load/callback-connection.js';

const ANSWERS = [
  ['HTTP/1.1 204 No Content\r\nDate: today\r\n\r\n', 204],
  ['HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nForbidden', 403],
  ['HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\ncontent-length: 2\r\n\r\n{}', 503],
] as const;

describe('AnswerReader', () => {
  it.each(ANSWERS)('reads the status of %j', (answer, status) => {
    expect(new AnswerReader().read(Buffer.from(answer))).toBe(status);
  });

  it.each(ANSWERS)(
    'waits for the last byte of %j and is then ready for the next answer',
    (answer, status) => {
      const reader = new AnswerReader();
      for (let times = 0; times < 2; times += 1) {
        const read = Array.from(answer, (character) => reader.read(Buffer.from(character)));
        expect(read).toEqual([...Array<undefined>(answer.length - 1).fill(undefined), status]);
      }
    },
  );

  it('refuses an answer whose end it cannot find', () => {
    const chunked = Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n');
    expect(() => new AnswerReader().read(chunked)).toThrow('Content-Length');
  });
});
