/** Functions that end what was started, called last first. */
export type Closers = (() => Promise<void>)[];

/**
 * Always ends everything that was started; a failure to end one thing does not keep the rest running.
 * @throws the first error, since it usually causes the later ones.
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
