import { Column, Entity, PrimaryColumn } from 'typeorm';

/** The position up to which `messages` was searched for messages to poll, by `created_at` and then by key. */
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
