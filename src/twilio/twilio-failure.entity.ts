import { Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';
import type { Operation } from './api-request-client.js';
import type { OutageReason } from './outage-reasons.js';

/** A period in which every request of one kind failed for an account. TwilioOutages writes the rows. */
@Entity('twilio_failures')
@Index('twilio_failures_current_key', ['accountSid', 'operation'], {
  unique: true,
  where: 'ended_at is null',
})
export class TwilioFailure {
  @PrimaryGeneratedColumn('uuid', { primaryKeyConstraintName: 'twilio_failures_pkey' })
  id!: string;

  @Column('text', { name: 'account_sid' })
  accountSid!: string;

  @Column('text', { comment: 'send, read (statuses, original texts), or templates' })
  operation!: Operation;

  @Column('text', { comment: 'why, as the latest of its requests says' })
  reason!: OutageReason;

  @Column('text', { name: 'error_code' })
  errorCode!: string;

  @Column('timestamptz', { name: 'failing_since' })
  failingSince!: Date;

  @Column('timestamptz', { name: 'last_failed_at' })
  lastFailedAt!: Date;

  @Column('integer', { default: 1, comment: 'how many requests failed' })
  failures!: number;

  @Column('timestamptz', {
    name: 'retry_at',
    nullable: true,
    comment: 'until then Twilio asks for no other request',
  })
  retryAt!: Date | null;

  @Column('timestamptz', {
    name: 'ended_at',
    nullable: true,
    comment: 'when a request succeeded again; a short failure is deleted instead',
  })
  endedAt!: Date | null;
}
