import { randomBytes, randomUUID } from 'node:crypto';
import type { DataSource } from 'typeorm';

export interface SeededMessage {
  /** `messages.id`. */
  id: string;
  twilioSid: string;
  conversationId: string;
  companyPhoneNumber: string | null;
  body: string | null;
}

export interface SeedOptions {
  twilioSid?: string;
  body?: string | null;
  companyPhoneNumber?: string | null;
  /** False: the conversation belongs to no company. */
  company?: boolean;
  status?: string | null;
}

/** Returns a message SID in Twilio's format: `SM` and 32 hexadecimal digits. */
export function randomMessageSid(): string {
  return `SM${randomBytes(16).toString('hex')}`;
}

/** Stores a WhatsApp message in the application's tables, with its conversation and company. */
export async function seedMessage(dataSource: DataSource, options: SeedOptions = {}): Promise<SeededMessage> {
  const {
    twilioSid = randomMessageSid(),
    body = 'Your appointment is tomorrow at 10:00.',
    companyPhoneNumber = '+15550001111',
    company = true,
    status = 'queued',
  } = options;
  const [companyId, conversationId, id] = [randomUUID(), randomUUID(), randomUUID()];
  if (company) {
    await dataSource.query('insert into companies (id, name, phone_number) values ($1, $2, $3)', [
      companyId,
      'Example Clinic',
      companyPhoneNumber,
    ]);
  }
  await dataSource.query('insert into conversations (id, company_id) values ($1, $2)', [
    conversationId,
    company ? companyId : null,
  ]);
  await dataSource.query(
    `insert into messages (id, conversation_id, twilio_sid, direction, channel, body, status)
     values ($1, $2, $3, 'outbound', 'whatsapp', $4, $5)`,
    [id, conversationId, twilioSid, body, status],
  );
  return { id, twilioSid, conversationId, companyPhoneNumber, body };
}
