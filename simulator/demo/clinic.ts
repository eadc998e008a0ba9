import { randomUUID } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { newMessageSid } from '../message.js';

/** The company whose application sends the WhatsApp messages of the demo. */
export const clinic = { name: 'Example Clinic', phoneNumber: '+15550001111' };

export interface ClinicMessage {
  readonly sid: string;
  readonly body: string;
}

/**
 * Stores a WhatsApp message as the clinic's application would after sending it.
 * @param companyId null: the conversation belongs to no company.
 */
export async function storeMessage(
  dataSource: DataSource,
  companyId: string | null,
  body: string,
): Promise<ClinicMessage> {
  const conversationId = randomUUID();
  const sid = newMessageSid();
  await dataSource.query('insert into conversations (id, company_id) values ($1, $2)', [
    conversationId,
    companyId,
  ]);
  await dataSource.query(
    `insert into messages (conversation_id, twilio_sid, direction, channel, body, status)
     values ($1, $2, 'outbound', 'whatsapp', $3, 'queued')`,
    [conversationId, sid, body],
  );
  return { sid, body };
}

/** @returns the id of its row in `companies`. */
export async function storeClinic(dataSource: DataSource): Promise<string> {
  const id = randomUUID();
  await dataSource.query('insert into companies (id, name, phone_number) values ($1, $2, $3)', [
    id,
    clinic.name,
    clinic.phoneNumber,
  ]);
  return id;
}
