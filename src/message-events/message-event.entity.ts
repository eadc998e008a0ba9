import {
  Column,
  CreateDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  PrimaryGeneratedColumn,
  Unique,
} from 'typeorm';
import { Message } from '../messages/message.entity.js';

/** One status of one message, as Twilio reported it. Rows are added by MessageEventsStore and never changed. */
@Entity('message_events')
@Unique('message_events_message_sid_message_status_key', ['messageSid', 'messageStatus'])
export class MessageEvent {
  @PrimaryGeneratedColumn('uuid', { primaryKeyConstraintName: 'message_events_pkey' })
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
  payload!: Record<string, unknown>;

  @Column('uuid', { name: 'sms_fallback_id', nullable: true })
  smsFallbackId!: string | null;

  @CreateDateColumn({ type: 'timestamptz', name: 'created_at' })
  createdAt!: Date;

  /** The message's row, where the application had stored it when the callback came. */
  @Column('uuid', { name: 'message_id', nullable: true })
  messageId!: string | null;

  @ManyToOne(() => Message, { onDelete: 'SET NULL', nullable: true })
  @JoinColumn({ name: 'message_id', foreignKeyConstraintName: 'message_events_message_id_fkey' })
  message?: Message | null;

  /** The row of the SMS that this event led to. */
  @Column('uuid', { name: 'fallback_sms_message_id', nullable: true })
  fallbackSmsMessageId!: string | null;

  @ManyToOne(() => Message, { onDelete: 'SET NULL', nullable: true })
  @JoinColumn({
    name: 'fallback_sms_message_id',
    foreignKeyConstraintName: 'message_events_fallback_sms_message_id_fkey',
  })
  fallbackSmsMessage?: Message | null;
}
