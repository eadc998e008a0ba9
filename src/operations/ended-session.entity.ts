import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A session that was signed out. */
@Entity('ended_sessions')
export class EndedSession {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'ended_sessions_pkey' })
  id!: string;

  @Column('timestamptz', { name: 'ends_at' })
  endsAt!: Date;
}
