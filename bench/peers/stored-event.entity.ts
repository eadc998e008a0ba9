import { Column, CreateDateColumn, Entity, PrimaryGeneratedColumn, Unique } from 'typeorm';
import type { EventRow } from './event-row.js';

/** `message_events` as an entity that is written through a repository. */
@Entity('message_events')
@Unique(['messageSid', 'messageStatus'])
export class StoredEvent implements EventRow {
  @PrimaryGeneratedColumn('uuid')
  id!: string;

  @Column('text', { name: 'message_sid' })
  messageSid!: string;

  @Column('text', { name: 'message_status' })
  messageStatus!: string;

  @Column('text')
  channel!: string;

  @Column('text', { name: 'to_number', nullable: true })
  toNumber!: string | null;

  @Column('text', { name: 'from_number', nullable: true })
  fromNumber!: string | null;

  @Column('text', { name: 'error_code', nullable: true })
  errorCode!: string | null;

  @Column('text', { name: 'error_message', nullable: true })
  errorMessage!: string | null;

  @Column('text', { name: 'account_sid' })
  accountSid!: string;

  @Column('jsonb')
  payload!: Record<string, string>;

  @CreateDateColumn({ type: 'timestamptz', name: 'created_at' })
  createdAt!: Date;
}
