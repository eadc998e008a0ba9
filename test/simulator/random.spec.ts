import { describe, expect, it } from '@jest/globals';
import { inRandomOrder, randomNumbers } from '../../simulator/random.js';

describe('a random order', () => {
  it('has each item once and does not change the list', () => {
    const items = ['a', 'b', 'c', 'd'];
    expect(inRandomOrder(items, randomNumbers(1)).sort()).toEqual(items);
    expect(items).toEqual(['a', 'b', 'c', 'd']);
    expect(inRandomOrder([], randomNumbers(1))).toEqual([]);
  });

  it('follows from the numbers', () => {
    const orders = (seed: number) => {
      const random = randomNumbers(seed);
      return Array.from({ length: 5 }, () => inRandomOrder(['a', 'b', 'c', 'd'], random).join(''));
    };
    expect(orders(1)).toEqual(orders(1));
    expect(orders(1)).not.toEqual(orders(2));
  });

  it('gives every order the same chance, so that no item mostly follows the same one', () => {
    const random = randomNumbers(1);
    const times = new Map<string, number>();
    for (let round = 0; round < 6_000; round += 1) {
      const order = inRandomOrder(['a', 'b', 'c'], random).join('');
      times.set(order, (times.get(order) ?? 0) + 1);
    }
    expect([...times.keys()].sort()).toEqual(['abc', 'acb', 'bac', 'bca', 'cab', 'cba']);
    for (const count of times.values()) expect(Math.abs(count - 1_000)).toBeLessThan(150);
  });
});
