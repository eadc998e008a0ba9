import {
  Column,
  CreateDateColumn,
  Entity,
  Index,
  JoinColumn,
  ManyToOne,
  PrimaryGeneratedColumn,
  Unique,
} from 'typeorm';
import { Message } from '../messages/message.entity.js';

/**
 * One status of one message, as Twilio reported it. MessageEventsStore adds the rows; after that only the two links to
 * `messages` are set.
 */
@Entity('message_events')
@Unique('message_events_message_sid_message_status_key', ['messageSid', 'messageStatus'])
@Index('message_events_created_at_idx', ['createdAt'])
@Index('message_events_failures_idx', ['errorCode', 'createdAt'], {
  where: `message_status in ('failed', 'undelivered')`,
})
@Index('message_events_to_number_idx', ['toNumber', 'createdAt'], { where: 'to_number is not null' })
@Index('message_events_user_id_idx', ['userId', 'createdAt'], { where: 'user_id is not null' })
@Index('message_events_parent_user_id_idx', ['parentUserId', 'createdAt'], {
  where: 'parent_user_id is not null',
})
@Index('message_events_channel_status_idx', ['channel', 'messageStatus', 'createdAt', 'id'])
@Index('message_events_polled_idx', ['createdAt'], { where: "source = 'poll'" })
@Index('message_events_message_id_idx', ['messageId'], { where: 'message_id is not null' })
@Index('message_events_fallback_sms_message_id_idx', ['fallbackSmsMessageId'], {
  where: 'fallback_sms_message_id is not null',
})
@Index('message_events_sms_fallback_id_idx', ['smsFallbackId'], { where: 'sms_fallback_id is not null' })
export class MessageEvent {
  @PrimaryGeneratedColumn('uuid', { primaryKeyConstraintName: 'message_events_pkey' })
  id!: string;

  @Column('text', { name: 'message_sid' })
  messageSid!: string;

  @Column('text', { name: 'message_status' })
  messageStatus!: string;

  @Column('text', {
    comment: 'prefix of the address: whatsapp, rcs, messenger, …; sms where there is none',
  })
  channel!: string;

  @Column('text', { name: 'to_number', nullable: true })
  toNumber!: string | null;

  @Column('text', { name: 'from_number', nullable: true })
  fromNumber!: string | null;

  @Column('text', {
    name: 'user_id',
    nullable: true,
    comment: "WhatsApp's business-scoped ID of the recipient",
  })
  userId!: string | null;

  @Column('text', {
    name: 'parent_user_id',
    nullable: true,
    comment: 'the ID of the recipient for the parent business',
  })
  parentUserId!: string | null;

  @Column('text', { name: 'error_code', nullable: true })
  errorCode!: string | null;

  @Column('text', { name: 'error_message', nullable: true })
  errorMessage!: string | null;

  @Column('text', { name: 'account_sid' })
  accountSid!: string;

  @Column('jsonb', { comment: 'every parameter of the callback as received' })
  payload!: Record<string, unknown>;

  @Column('text', { default: 'callback', comment: 'callback: Twilio called; poll: Twilio was asked' })
  source!: 'callback' | 'poll';

  @Column('uuid', {
    name: 'sms_fallback_id',
    nullable: true,
    comment: 'the sms_fallbacks row whose SMS this callback is about',
  })
  smsFallbackId!: string | null;

  @CreateDateColumn({ type: 'timestamptz', name: 'created_at' })
  createdAt!: Date;

  /** The message's row, if the application had stored it when the callback came. */
  @Column('uuid', { name: 'message_id', nullable: true })
  messageId!: string | null;

  @ManyToOne(() => Message, { onDelete: 'SET NULL', nullable: true })
  @JoinColumn({ name: 'message_id', foreignKeyConstraintName: 'message_events_message_id_fkey' })
  message?: Message | null;

  /** The row of the SMS that this event caused. */
  @Column('uuid', { name: 'fallback_sms_message_id', nullable: true })
  fallbackSmsMessageId!: string | null;

  @ManyToOne(() => Message, { onDelete: 'SET NULL', nullable: true })
  @JoinColumn({
    name: 'fallback_sms_message_id',
    foreignKeyConstraintName: 'message_events_fallback_sms_message_id_fkey',
  })
  fallbackSmsMessage?: Message | null;
}
