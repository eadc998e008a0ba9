import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryGeneratedColumn } from 'typeorm';
import { Company } from './company.entity.js';

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
