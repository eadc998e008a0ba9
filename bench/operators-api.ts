/** Of no use elsewhere. */
export const OPERATORS_KEY = 'key-of-the-bench-for-operators';

/** What an operator asks the service for over HTTP, and how long each answer takes. */
export class OperatorsApi {
  /** Milliseconds until the whole answer was there. */
  readonly latencies: number[] = [];

  constructor(
    private readonly port: number,
    private readonly signal: AbortSignal,
  ) {}

  /**
   * Waits for the answer even where the signal is aborted meanwhile: the slow ones must not be missing.
   * @param body of a POST; without it, it is a GET.
   * @throws where the answer is an error.
   */
  async ask(path: string, body?: object): Promise<void> {
    const startedAt = performance.now();
    const response = await this.#request(path, {
      ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path} was answered ${response.status}: ${text}`);
    this.latencies.push(performance.now() - startedAt);
  }

  /** Listens to a stream until the signal is aborted. */
  async follow(path: string): Promise<never> {
    const { body } = await this.#request(path, { signal: this.signal });
    await body?.pipeTo(new WritableStream());
    throw new Error(`The stream of ${path} has ended`);
  }

  #request(path: string, options: RequestInit): Promise<Response> {
    const headers = { authorization: `Bearer ${OPERATORS_KEY}`, 'content-type': 'application/json' };
    return fetch(`http://127.0.0.1:${this.port}${path}`, { ...options, headers });
  }
}
