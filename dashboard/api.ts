/** The session has ended, or its key is no key any more. */
export class SignedOut extends Error {
  override readonly name = 'SignedOut';
}

/** The service cannot answer, or does not want to. The message can be shown. */
export class Problem extends Error {
  override readonly name = 'Problem';

  constructor(
    message: string,
    /** Of HTTP; 0 where there was no answer. */
    readonly status: number,
  ) {
    super(message);
  }
}

/**
 * Asks the API, with the cookie of the session.
 * @throws SignedOut
 * @throws Problem
 */
export async function ask<Answer>(
  path: string,
  method: 'GET' | 'POST' = 'GET',
  body?: Readonly<Record<string, unknown>>,
): Promise<Answer> {
  const sent = body && { body: JSON.stringify(body) };
  const headers = { Accept: 'application/json', ...(sent && { 'Content-Type': 'application/json' }) };
  const response = await fetch(path, { method, headers, ...sent }).catch(() => null);
  if (response === null) throw new Problem('The service cannot be reached.', 0);
  if (response.status === 401) throw new SignedOut();
  const answer: unknown = await response.json().catch(() => null);
  if (!response.ok)
    throw new Problem(messageOf(answer) ?? `The service answered ${response.status}.`, response.status);
  return answer as Answer;
}

/** Nest's errors have a text, or one for each parameter. */
function messageOf(body: unknown): string | null {
  if (typeof body !== 'object' || body === null || !('message' in body)) return null;
  return Array.isArray(body.message) ? body.message.join(' ') : String(body.message);
}

/** @returns what can be shown; for a session that has ended, the form for the key comes instead. */
export function explain(error: unknown): string {
  if (error instanceof SignedOut) {
    // The address keeps its journey, and the form hands it on.
    location.reload();
    return 'The session has ended.';
  }
  if (error instanceof Problem) return error.message;
  throw error;
}
