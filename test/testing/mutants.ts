import { describe, expect, it } from '@jest/globals';
import { AssertionError } from 'node:assert/strict';
import type { ConformanceCase } from '../../testing/conformance.js';

/** A wrong implementation, and the case that has to fail because of it. */
export type Mutant<Setup> = readonly [
  caseName: string,
  fault: string,
  mutate: (setup: Setup) => Partial<Setup>,
];

/** Describes that a suite passes a right implementation, and that each of its cases fails for a wrong one. */
export function describeSuite<Setup extends object>(
  conformance: (open: () => Setup) => readonly ConformanceCase[],
  open: () => Setup,
  mutants: readonly Mutant<Setup>[],
): void {
  describe('passes an implementation that keeps the contract: it', () => {
    for (const { name, run } of conformance(open)) it(name, run);
  });

  it('has a wrong implementation for each of its cases', () => {
    const names = conformance(open).map(({ name }) => name);
    expect([...new Set(mutants.map(([name]) => name))]).toEqual(names);
  });

  it.each(mutants)('fails in the case "%s" if an implementation %s', async (caseName, _, mutate) => {
    const cases = conformance(() => {
      const setup = open();
      return { ...setup, ...mutate(setup) };
    });
    const run = cases.find(({ name }) => name === caseName)?.run;
    await expect(run?.()).rejects.toBeInstanceOf(AssertionError);
  });
}
