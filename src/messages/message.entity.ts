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

/** A business that writes to people. The application's own table; the service needs these columns. */
@Entity('companies')
export class Company {
  @PrimaryGeneratedColumn('uuid', { primaryKeyConstraintName: 'companies_pkey' })
  id!: string;

  @Column('text', { nullable: true })
  name!: string | null;

  /** The sender of the company's SMS, in E.164. */
  @Column('text', { name: 'phone_number', nullable: true })
  phoneNumber!: string | null;
}

/** A company's messages with one person. The application's own table; the service needs these columns. */
@Entity('conversations')
@Index('conversations_company_id_idx', ['companyId'])
export class Conversation {
  @PrimaryGeneratedColumn('uuid', { primaryKeyConstraintName: 'conversations_pkey' })
  id!: string;

  @Column('uuid', { name: 'company_id', nullable: true })
  companyId!: string | null;

  @ManyToOne(() => Company, { onDelete: 'SET NULL', nullable: true })
  @JoinColumn({ name: 'company_id', foreignKeyConstraintName: 'conversations_company_id_fkey' })
  company?: Company | null;
}

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
