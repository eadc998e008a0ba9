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
import { Conversation } from './conversation.entity.js';

/** A message that was sent or received. The application's own table; the service needs these columns. */
@Entity('messages')
@Unique('messages_twilio_sid_key', ['twilioSid'])
@Index('messages_created_at_idx', ['createdAt'])
@Index('messages_conversation_id_idx', ['conversationId'])
export class Message {
  @PrimaryGeneratedColumn('uuid', { primaryKeyConstraintName: 'messages_pkey' })
  id!: string;

  @Column('uuid', { name: 'conversation_id', nullable: true })
  conversationId!: string | null;

  @ManyToOne(() => Conversation, { onDelete: 'SET NULL', nullable: true })
  @JoinColumn({ name: 'conversation_id', foreignKeyConstraintName: 'messages_conversation_id_fkey' })
  conversation?: Conversation | null;

  @Column('text', { name: 'twilio_sid', nullable: true })
  twilioSid!: string | null;

  /** `outbound` or `inbound`. */
  @Column('text', { nullable: true })
  direction!: string | null;

  /** `whatsapp`, `sms`, … */
  @Column('text', { nullable: true })
  channel!: string | null;

  /** Empty for a template that Twilio renders. */
  @Column('text', { nullable: true })
  body!: string | null;

  /** The highest status by rank that Twilio has reported, see message-events/message-status.ts. */
  @Column('text', { nullable: true })
  status!: string | null;

  @CreateDateColumn({ type: 'timestamptz', name: 'created_at' })
  createdAt!: Date;
}
