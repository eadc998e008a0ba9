const HEAD_END = Buffer.from('\r\n\r\n');

/**
 * Finds the end of one HTTP/1.1 answer with a Content-Length or without a body. This is sufficient for 204 and errors.
 */
export class AnswerReader {
  #pending: Buffer | undefined;

  /** @returns the answer's status once it is complete. @throws for an answer in a form that is not supported. */
  read(chunk: Buffer): number | undefined {
    const bytes = this.#pending === undefined ? chunk : Buffer.concat([this.#pending, chunk]);
    const headEnd = bytes.indexOf(HEAD_END);
    if (headEnd === -1 || bytes.length < headEnd + HEAD_END.length + bodyLength(bytes, headEnd)) {
      this.#pending = bytes;
      return undefined;
    }
    this.#pending = undefined;
    return statusOf(bytes);
  }
}

/** `HTTP/1.1 204 …` */
function statusOf(bytes: Buffer): number {
  return Number(bytes.toString('latin1', 9, 12));
}

function bodyLength(bytes: Buffer, headEnd: number): number {
  const status = statusOf(bytes);
  if (status === 204) return 0;
  const length = /\r\ncontent-length: *(\d+)/i.exec(bytes.toString('latin1', 0, headEnd))?.[1];
  if (length === undefined) throw new Error(`An answer ${status} has no Content-Length`);
  return Number(length);
}
