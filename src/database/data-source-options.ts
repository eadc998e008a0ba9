import type { DataSourceOptions } from 'typeorm';
import { CreateMessageEventsTable1795305600000 } from '../../migrations/1795305600000-create-message-events-table.js';
import { CreateSmsFallbacksTable1795305600001 } from '../../migrations/1795305600001-create-sms-fallbacks-table.js';
import { CreateRejectedCallbacksTable1795305600002 } from '../../migrations/1795305600002-create-rejected-callbacks-table.js';
import { SmsFallback } from '../fallback/sms-fallback.entity.js';
import { MessageEvent } from '../message-events/message-event.entity.js';
import { Company } from '../messages/company.entity.js';
import { Conversation } from '../messages/conversation.entity.js';
import { Message } from '../messages/message.entity.js';
import { RejectedCallback } from '../webhooks/rejected-callback.entity.js';
import type { DatabaseConnection } from './database-connection.js';

export const migrations = [
  CreateMessageEventsTable1795305600000,
  CreateSmsFallbacksTable1795305600001,
  CreateRejectedCallbacksTable1795305600002,
];

/** Not TypeORM's default name: the database may be an application's, with migrations of its own. */
export const MIGRATIONS_TABLE = 'whatsapp_sms_fallback_migrations';

/**
 * Limits on a statement, in milliseconds. Twilio waits 15 s for an answer; together with the time to get a
 * connection they leave it a 503 instead of silence.
 */
const STATEMENT_LIMITS = {
  connectionTimeoutMillis: 4_000,
  statement_timeout: 5_000,
  query_timeout: 6_000,
};

export function dataSourceOptions(connection: DatabaseConnection): DataSourceOptions {
  const { connectionString, ...address } = connection.client;
  return {
    type: 'postgres',
    ...(connectionString === undefined ? { ...address, username: address.user } : { url: connectionString }),
    applicationName: 'whatsapp-sms-fallback',
    entities: [Company, Conversation, Message, MessageEvent, SmsFallback, RejectedCallback],
    migrations,
    migrationsTableName: MIGRATIONS_TABLE,
    synchronize: false,
    installExtensions: false,
    uuidExtension: 'pgcrypto',
    extra: { max: 10, ...STATEMENT_LIMITS },
  };
}
