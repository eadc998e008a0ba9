import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

/** What a measurement comes to. */
export interface Report {
  /** What is printed. */
  readonly text: string;
  /** By name. */
  readonly files: Readonly<Record<string, string>>;
}

/** Where and when it was measured. @param postgresVersion as PostgreSQL itself tells it. */
export function circumstances(postgresVersion: string) {
  return {
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    postgres: postgresVersion,
    processors: availableParallelism(),
  };
}

/** Figures as JSON. */
export function asJson(figures: object): string {
  return `${JSON.stringify(figures, roundedNumber, 2)}\n`;
}

export async function writeReport(folder: string, { files }: Report): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
}

/** More digits than four would pretend to be known. */
function roundedNumber(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;
}
