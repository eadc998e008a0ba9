import { Check, Column, Entity, PrimaryColumn } from 'typeorm';
import type { CountUnit } from './event-counts.js';

const primaryKeyConstraintName = 'message_event_counts_pkey';

/** The number of events of one kind in a minute, an hour, or a day. EventCounts writes the rows. */
@Entity('message_event_counts')
@Check('message_event_counts_unit_check', `unit in ('minute', 'hour', 'day')`)
export class MessageEventCount {
  @PrimaryColumn('text', { primaryKeyConstraintName })
  unit!: CountUnit;

  @PrimaryColumn('timestamptz', { name: 'begins_at', primaryKeyConstraintName })
  beginsAt!: Date;

  @PrimaryColumn('text', { primaryKeyConstraintName })
  channel!: string;

  @PrimaryColumn('text', { name: 'message_status', primaryKeyConstraintName })
  messageStatus!: string;

  @PrimaryColumn('text', {
    name: 'error_code',
    primaryKeyConstraintName,
    comment: 'empty where the events have none',
  })
  errorCode!: string;

  @Column('integer')
  events!: number;
}
