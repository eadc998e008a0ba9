import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** A WhatsApp message that Twilio is asked about. MessagePollsStore writes the rows. */
@Entity('message_polls')
@Index('message_polls_next_poll_at_idx', ['nextPollAt'])
export class MessagePoll {
  @PrimaryColumn('text', { name: 'message_sid', primaryKeyConstraintName: 'message_polls_pkey' })
  messageSid!: string;

  @Column('text', { name: 'account_sid' })
  accountSid!: string;

  @Column('timestamptz', {
    name: 'waiting_since',
    comment: 'when the latest status was reported, or the message stored',
  })
  waitingSince!: Date;

  @Column('timestamptz', { name: 'next_poll_at', default: () => 'now()' })
  nextPollAt!: Date;

  @Column('integer', { default: 0, comment: 'how many times Twilio was asked since then' })
  polls!: number;
}

/** How far `messages` was searched for messages to poll, by `created_at` and then by key. */
@Entity('message_poll_watermarks')
export class MessagePollWatermark {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'message_poll_watermarks_pkey' })
  source!: 'messages';

  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;

  @Column('text', {
    default: '',
    comment: 'among rows of one created_at: messages.twilio_sid',
  })
  key!: string;
}
