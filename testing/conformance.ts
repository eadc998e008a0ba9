import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';

/** A test for any runner: `for (const { name, run } of cases) it(name, run);` */
export interface ConformanceCase {
  readonly name: string;
  /** @throws AssertionError if the implementation breaks the contract. */
  readonly run: () => Promise<void>;
}

/** What every suite asks of the setup that an implementation runs in. */
export interface ConformanceSetup {
  /** How long the suite waits for a call that must not hang, in milliseconds; default 15000. */
  readonly limitMilliseconds?: number;
  /** Runs after each case. */
  readonly close?: () => unknown;
}

/** Opens a setup for each case, and closes it afterwards. */
export function conformanceCases<Setup extends ConformanceSetup>(
  open: () => Setup | Promise<Setup>,
  checks: Readonly<Record<string, (setup: Setup) => Promise<void>>>,
): readonly ConformanceCase[] {
  return Object.entries(checks).map(([name, check]) => ({
    name,
    run: async () => {
      const setup = await open();
      try {
        await check(setup);
      } finally {
        await setup.close?.();
      }
    },
  }));
}

const LIMIT_MILLISECONDS = 15_000;

/** Calls what must neither reject nor hang. */
export async function resultOf<Result>(
  call: string,
  { limitMilliseconds = LIMIT_MILLISECONDS }: ConformanceSetup,
  work: () => Promise<Result>,
): Promise<Result> {
  const settled = new AbortController();
  const limit = delay(limitMilliseconds, undefined, { signal: settled.signal }).then(() =>
    assert.fail(`${call} did not resolve within ${limitMilliseconds} ms`),
  );
  try {
    return await Promise.race([
      limit,
      work().catch((error: unknown) =>
        assert.fail(`${call} rejected, but must always resolve: ${String(error)}`),
      ),
    ]);
  } finally {
    settled.abort();
    await limit.catch(() => undefined);
  }
}
