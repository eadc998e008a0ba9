import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

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

/** A connection that carries one request at a time. */
export class CallbackConnection {
  readonly #reader = new AnswerReader();
  #answered: ((status: number) => void) | undefined;
  #failed: ((error: Error) => void) | undefined;

  private constructor(private readonly socket: Socket) {
    socket.on('data', (chunk: Buffer) => {
      this.#read(chunk);
    });
    socket.on('error', (error) => this.#failed?.(error));
    socket.on('close', () => this.#failed?.(new Error('A connection was closed before the answer came')));
  }

  static async open(port: number): Promise<CallbackConnection> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return new CallbackConnection(socket);
  }

  /** @returns the answer's status. */
  send(request: Buffer): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#answered = resolve;
      this.#failed = reject;
      this.socket.write(request);
    });
  }

  close(): void {
    this.#failed = undefined;
    this.socket.destroy();
  }

  #read(chunk: Buffer): void {
    try {
      const status = this.#reader.read(chunk);
      if (status !== undefined) this.#answered?.(status);
    } catch (error) {
      this.#failed?.(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
