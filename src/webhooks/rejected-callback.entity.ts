import { Column, CreateDateColumn, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** A callback with a valid signature that cannot be an event. */
@Entity('rejected_callbacks')
export class RejectedCallback {
  @PrimaryGeneratedColumn('identity', {
    type: 'bigint',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'rejected_callbacks_pkey',
  })
  id!: string;

  @Column('text')
  reason!: string;

  /** Every parameter as received; `{ body }` if they nest too deep. */
  @Column('jsonb')
  payload!: Record<string, unknown>;

  @CreateDateColumn({ type: 'timestamptz', name: 'created_at' })
  createdAt!: Date;
}
