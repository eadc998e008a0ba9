/** What has to be ended, the last one first. */
export type Closers = (() => Promise<void>)[];

/**
 * Ends everything that was started, whatever happens; what cannot be ended does not keep the rest running.
 * @throws the first error: what fails after it mostly fails because of it.
 */
export async function withClosers<Result>(use: (closers: Closers) => Promise<Result>): Promise<Result> {
  const closers: Closers = [];
  const errors: unknown[] = [];
  const keep = (error: unknown): void => {
    errors.push(error);
  };
  const used = use(closers);
  await used.catch(keep);
  for (const close of closers.reverse()) await close().catch(keep);
  if (errors.length > 0) throw errors[0];
  return used;
}
