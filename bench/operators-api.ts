/** Useless outside of this bench. */
export const OPERATORS_KEY = 'key-of-the-bench-for-operators';

/** An operator's calls over HTTP, with the latency of each answer. */
export class OperatorsApi {
  /** Milliseconds until each answer was complete. */
  readonly latencies: number[] = [];

  constructor(
    private readonly port: number,
    private readonly signal: AbortSignal,
  ) {}

  /**
   * Waits for the answer even if the signal is aborted meanwhile, so that slow answers are not missing.
   * @param body of a POST; without it, it is a GET.
   * @throws if the answer is an error.
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
