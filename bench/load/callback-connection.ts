import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { AnswerReader } from './answer-reader.js';

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
