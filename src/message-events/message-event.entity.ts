import {
  Column,
  CreateDateColumn,
  Entity,
  Index,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  Unique,
} from 'typeorm';

/**
 * One status of one message, as Twilio reported it. MessageEventsStore adds the rows; after that only
 * `fallback_sms_message_id` is set.
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

  /** `messages.id` of the SMS that this event caused. A hint: the row belongs to the application, which may delete it. */
  @Column('uuid', { name: 'fallback_sms_message_id', nullable: true })
  fallbackSmsMessageId!: string | null;
}

/**
 * What the follower has yet to do: a row for each new event, and one for each message to look at again.
 * MessageEventsStore adds the rows with the events, and the follower takes them.
 */
@Entity('message_event_outbox')
export class MessageEventOutbox {
  @PrimaryColumn('timestamptz', {
    name: 'due_at',
    default: () => 'now()',
    primaryKeyConstraintName: 'message_event_outbox_pkey',
  })
  dueAt!: Date;

  @PrimaryGeneratedColumn('uuid', {
    primaryKeyConstraintName: 'message_event_outbox_pkey',
    comment: 'message_events.id of an event that is not counted yet',
  })
  id!: string;

  @Column('text', { name: 'message_sid' })
  messageSid!: string;

  @Column('boolean', { default: false })
  counted!: boolean;

  @Column('integer', { default: 0, comment: 'how often messages.status could not follow' })
  tries!: number;
}
