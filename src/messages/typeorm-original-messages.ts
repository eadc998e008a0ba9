import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { GroupCommit, OF_ONE_TURN } from '../process/group-commit.js';
import { FIND_ORIGINAL_MESSAGES } from './application-tables.js';
import { InjectDatabase } from '../process/inject-database.js';
import { type OriginalMessage, OriginalMessages } from './original-messages.js';

interface Row {
  readonly twilioSid: string;
  readonly id: string;
  readonly body: string | null;
  readonly conversationId: string | null;
  readonly companyId: string | null;
  readonly phoneNumber: string | null;
  readonly createdAt: string | null;
  readonly recipient: string | null;
  readonly contentSid: string | null;
  readonly contentVariables: string | null;
}

/**
 * Reads the application's tables, including the optional columns `messages.to_number`, `content_sid` and
 * `content_variables` if they exist.
 */
@Injectable()
export class TypeOrmOriginalMessages extends OriginalMessages {
  private readonly searches: GroupCommit<string, OriginalMessage | null>;

  constructor(@InjectDatabase() private readonly dataSource: DataSource) {
    super();
    // A row that cannot be read, whatever the error, must not keep the others from being found.
    this.searches = new GroupCommit(
      (messageSids) => this.search(messageSids),
      () => true,
      OF_ONE_TURN,
    );
  }

  /** Searches at the same time share a statement. */
  findByTwilioSid(messageSid: string): Promise<OriginalMessage | null> {
    return this.searches.add(messageSid);
  }

  private async search(messageSids: readonly string[]): Promise<(OriginalMessage | null)[]> {
    const rows = await this.dataSource.query<Row[]>(FIND_ORIGINAL_MESSAGES, [messageSids]);
    const found = new Map(rows.map((row) => [row.twilioSid, toOriginal(row)]));
    return messageSids.map((messageSid) => found.get(messageSid) ?? null);
  }
}

function toOriginal({ id, body, conversationId, recipient, contentSid, ...row }: Row): OriginalMessage {
  const { companyId, phoneNumber, contentVariables, createdAt } = row;
  return {
    ...{ id, body, conversationId, recipient, contentSid },
    createdAt: readTime(createdAt),
    company: companyId === null ? null : { id: companyId, phoneNumber },
    contentVariables: readVariables(contentVariables),
  };
}

/** The time zone in which a local time is the latest. */
const LATEST_ZONE = '-12:00';

/** A time without a zone may be in any zone. It is read as late as possible, so that no message counts as too old. */
function readTime(text: string | null): Date | null {
  const [, time, zone = LATEST_ZONE] =
    /^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+)([+-][0-9:]+|Z)?$/.exec(text ?? '') ?? [];
  if (time === undefined) return null;
  const date = new Date(time + zone);
  return Number.isNaN(date.getTime()) ? null : date;
}

/** Twilio expects a JSON object of strings. */
function readVariables(text: string | null): Record<string, string> | null {
  if (text === null) return null;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'string') return readVariables(value);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
    return Object.fromEntries(
      Object.entries(value).map(([name, item]: [string, unknown]) => [
        name,
        typeof item === 'string' ? item : JSON.stringify(item),
      ]),
    );
  } catch {
    return null;
  }
}
