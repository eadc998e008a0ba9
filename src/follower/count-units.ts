/** The units that events are counted by, with their lengths in milliseconds. All start as in UTC. */
export const COUNT_UNITS = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const;

export type CountUnit = keyof typeof COUNT_UNITS;

const LARGEST_FIRST = ['day', 'hour', 'minute'] as const satisfies readonly CountUnit[];

/** A time that the counts of one unit cover. */
export interface CountedPeriod {
  readonly unit: CountUnit;
  readonly from: Date;
  /** Not part of it. */
  readonly to: Date;
}

/**
 * Splits a period by the units of the counts, so that as few counts as possible are added up: whole units of the
 * largest kind, and finer ones at both ends.
 * @param from a whole minute, as is `to`.
 * @param largest no unit is larger than this one.
 */
export function countedPeriods(from: Date, to: Date, largest: CountUnit): CountedPeriod[] {
  return split(from.getTime(), to.getTime(), LARGEST_FIRST.slice(LARGEST_FIRST.indexOf(largest)));
}

function split(from: number, to: number, units: readonly CountUnit[]): CountedPeriod[] {
  const [unit, ...finer] = units;
  if (unit === undefined || from >= to) return [];
  const length = COUNT_UNITS[unit];
  const begin = Math.ceil(from / length) * length;
  const end = Math.floor(to / length) * length;
  if (begin >= end) return split(from, to, finer);
  return [
    ...split(from, begin, finer),
    { unit, from: new Date(begin), to: new Date(end) },
    ...split(end, to, finer),
  ];
}
