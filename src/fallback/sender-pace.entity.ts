import { Column, Entity, PrimaryColumn } from 'typeorm';

/** The pace of a sender that has a rate, or that Twilio has refused for sending too fast. SenderPace writes the rows. */
@Entity('sms_senders')
export class SmsSenderPace {
  @PrimaryColumn('text', {
    primaryKeyConstraintName: 'sms_senders_pkey',
    comment: 'the account SID, a space, and the number or the SID of the Messaging Service',
  })
  key!: string;

  @Column('timestamptz', {
    name: 'free_at',
    default: () => 'now()',
    comment: 'when the SMS that were allowed so far are sent at an even pace',
  })
  freeAt!: Date;

  @Column('timestamptz', { name: 'slowed_at', nullable: true, comment: 'when its rate was last halved' })
  slowedAt!: Date | null;

  @Column('text', {
    name: 'slowed_by',
    nullable: true,
    comment: "Twilio's error code that it was halved for",
  })
  slowedBy!: string | null;

  @Column('double precision', {
    name: 'slowed_from',
    nullable: true,
    comment: 'the SMS per second at which Twilio refused one',
  })
  slowedFrom!: number | null;

  @Column('double precision', {
    name: 'slowed_to',
    nullable: true,
    comment: 'the SMS per second right after that; it recovers with time',
  })
  slowedTo!: number | null;

  @Column('timestamptz', {
    name: 'not_before',
    nullable: true,
    comment: 'until then Twilio asks to send nothing (Retry-After)',
  })
  notBefore!: Date | null;

  @Column('timestamptz', { name: 'updated_at', default: () => 'now()' })
  updatedAt!: Date;
}
