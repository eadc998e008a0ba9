import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

/** The report of a measurement. */
export interface Report {
  /** The printed text. */
  readonly text: string;
  /** File contents by name. */
  readonly files: Readonly<Record<string, string>>;
}

/** Returns where and when it was measured. @param postgresVersion as PostgreSQL reports it. */
export function circumstances(postgresVersion: string) {
  return {
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    postgres: postgresVersion,
    processors: availableParallelism(),
  };
}

/** Formats figures as JSON. */
export function asJson(figures: object): string {
  return `${JSON.stringify(figures, roundedNumber, 2)}\n`;
}

export async function writeReport(folder: string, { files }: Report): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
}

/** Rounds to four digits; more would suggest false precision. */
function roundedNumber(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;
}
