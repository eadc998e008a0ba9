import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Pool, type QueryResultRow } from 'pg';
import type { Company } from './accounts.js';
import type { PlannedMessage } from './planned-message.js';

const RETRY_MILLISECONDS = 250;
/** A limit against hangs: on a busy machine it takes minutes to store everything that waited during an outage. */
const RETRY_LIMIT_MILLISECONDS = 15 * 60_000;

/** The customer's application: it writes its own tables, and retries while the database is unreachable. */
export class ApplicationDatabase {
  readonly #pool: Pool;

  constructor(url: string) {
    this.#pool = new Pool({
      connectionString: url,
      application_name: 'chaos',
      max: 4,
      connectionTimeoutMillis: 15_000,
      query_timeout: 10_000,
    });
    this.#pool.on('error', () => undefined);
    this.#pool.on('connect', (client) => client.on('error', () => undefined));
  }

  /** Tries until the database answers. @throws the last error after a quarter of an hour. */
  async query<Row extends QueryResultRow>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> {
    const end = Date.now() + RETRY_LIMIT_MILLISECONDS;
    for (;;) {
      try {
        const { rows } = await this.#pool.query<Row>(sql, [...parameters]);
        return rows;
      } catch (error) {
        if (Date.now() > end) throw error;
        await delay(RETRY_MILLISECONDS);
      }
    }
  }

  async addCompanies(count: number): Promise<[Company, ...Company[]]> {
    const companies = Array.from({ length: count }, (_, index) => ({
      id: randomUUID(),
      // The first company has no number of its own.
      phoneNumber: index === 0 ? null : `+1444000${String(index).padStart(4, '0')}`,
    }));
    await this.query(
      `insert into companies (id, name, phone_number)
       select id, 'A company', "phoneNumber" from jsonb_to_recordset($1) as company (id uuid, "phoneNumber" text)`,
      [JSON.stringify(companies)],
    );
    const [first, ...others] = companies;
    if (first === undefined) throw new RangeError('There must be a company');
    return [first, ...others];
  }

  /** Safe to repeat: an insert whose answer was lost may have been committed. */
  async addMessage({ id, conversationId, sid, storedBody, company }: PlannedMessage): Promise<void> {
    await this.query(
      `with conversation as (insert into conversations (id, company_id) values ($2, $3) on conflict do nothing)
       insert into messages (id, conversation_id, twilio_sid, direction, channel, body, status)
       values ($1, $2, $4, 'outbound', 'whatsapp', $5, 'queued')
       on conflict do nothing`,
      [id, conversationId, company?.id ?? null, sid, storedBody],
    );
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }
}
