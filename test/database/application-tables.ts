import { Client } from 'pg';
import type { DatabaseConnection } from '../../src/database/database-connection.js';

/** Tables that an application had long before: other types of id, more columns, rows in them. */
export const APPLICATION_TABLES = `
  create table companies (
    id integer primary key generated always as identity, name varchar(80) not null, phone_number varchar(20), plan text not null default 'basic'
  );
  create table conversations (
    id bigint primary key generated always as identity, company_id integer not null references companies, opened_at timestamptz not null default now()
  );
  create table messages (
    id bigserial primary key, conversation_id bigint not null references conversations, twilio_sid varchar(34) unique,
    direction varchar(10) not null, channel varchar(20) not null, body text not null default '', status varchar(20),
    read_by text[] not null default '{}', created_at timestamptz not null default now(),
    message_sid text, message_status text, message_id text, rank integer, sid text, problem text, reports jsonb, added text
  );
  insert into companies (name, phone_number) values ('Example Clinic', '+15550001111');
  insert into conversations (company_id) values (1);
  insert into messages (id, conversation_id, direction, channel, body) values (9007199254740993, 1, 'inbound', 'whatsapp', 'Hi');
`;

/** Runs statements without parameters. */
export async function execute(database: DatabaseConnection, sql: string): Promise<void> {
  const client = new Client(database.client);
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
