/**
 * All of them, in any order as likely as in any other (Fisher and Yates).
 * @param random gives numbers from 0 up to 1, without it.
 */
export function shuffled<Item>(items: readonly Item[], random: () => number): Item[] {
  const rest = [...items];
  return items.flatMap(() => rest.splice(Math.floor(random() * rest.length), 1));
}
