/** What has to be ended, the last one first. */
export type Closers = (() => Promise<void>)[];

/** Ends everything that was started, whatever happens. */
export async function withClosers<Result>(use: (closers: Closers) => Promise<Result>): Promise<Result> {
  const closers: Closers = [];
  try {
    return await use(closers);
  } finally {
    for (const close of closers.reverse()) await close();
  }
}
