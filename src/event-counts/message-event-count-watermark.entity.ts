import { Check, Column, Entity, PrimaryColumn } from 'typeorm';

/** The position up to which `message_events` is counted. The table has one row. */
@Entity('message_event_count_watermark')
@Check('message_event_count_watermark_only_row_check', 'only_row')
export class MessageEventCountWatermark {
  @PrimaryColumn('boolean', {
    name: 'only_row',
    default: true,
    primaryKeyConstraintName: 'message_event_count_watermark_pkey',
  })
  onlyRow!: true;

  @Column('timestamptz', {
    name: 'counted_until',
    comment: 'every event that was stored before this time is in message_event_counts',
  })
  countedUntil!: Date;
}
